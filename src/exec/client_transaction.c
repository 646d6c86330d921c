/*-------------------------------------------------------------------------
 *
 * client_transaction.c
 *	  What the client of a replica has asked of its transaction.
 *
 * A replica's transactions are read only, and can't be serializable.  A client
 * whose writes are forwarded may ask for what only the primary can give:
 * PostgreSQL here isn't told of that, and the transaction there is begun with
 * it.
 *
 * A transaction that keeps its snapshot has to have one snapshot: it runs at the
 * primary as a whole.  Unless it is read only, when a replica's is as good.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "exec/client_transaction.h"
#include "session/declaration.h"

/* What was asked for in this transaction, as far as anything was */
typedef struct ClientTransaction
{
	bool		begun;			/* by the client, rather than implicitly */
	bool		read_only;
	int			read_only_level;	/* of the subtransaction that alone is; 0:
									 * none */
	bool		read_write;
	bool		deferrable;
	int			isolation;		/* XACT_...; valid with isolation_said */
	bool		isolation_said;
	bool		whole;			/* it runs at the primary as a whole */
} ClientTransaction;

static ClientTransaction asked;

/*
 * What the one before had asked for: a transaction that has failed is over when
 * the client says ROLLBACK AND CHAIN.
 */
static ClientTransaction before;

/* When it ends like this the next one will be the same; XACT_EVENT_... or none. */
static int	chained_by = -1;

static List *adapt_options(List *options);
static bool take_option(const DefElem *option);
static void check_in_time(void);
static int	parse_isolation(const char *name);
static const char *isolation_name(int isolation);

/* SET TRANSACTION? */
bool
client_transaction_is_set(const VariableSetStmt *statement)
{
	return statement->kind == VAR_SET_MULTI && strcmp(statement->name, "TRANSACTION") == 0;
}

/*
 * client_transaction_adapt
 *		Take note of what BEGIN or SET TRANSACTION ask for.  Returns what is to be
 *		run here: the statement, or a copy without what a replica can't do.
 */
Node *
client_transaction_adapt(Node *statement)
{
	if (IsA(statement, TransactionStmt))
	{
		TransactionStmt *begin = makeNode(TransactionStmt);

		asked.begun = true;
		memcpy(begin, statement, sizeof(*begin));
		begin->options = adapt_options(begin->options);
		return (Node *) begin;
	}
	if (IsA(statement, VariableSetStmt))
	{
		VariableSetStmt *set = makeNode(VariableSetStmt);

		memcpy(set, statement, sizeof(*set));
		set->args = adapt_options(set->args);
		return (Node *) set;
	}
	return statement;
}

/* The options that PostgreSQL is to see to here. */
static List *
adapt_options(List *options)
{
	List	   *rest = NIL;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (!take_option(option))
			rest = lappend(rest, option);
	}
	return rest;
}

/*
 * Note an option.  True if PostgreSQL is not to see it.  Where it comes too
 * late, PostgreSQL says so.
 */
static bool
take_option(const DefElem *option)
{
	A_Const    *value = (A_Const *) option->arg;

	if (strcmp(option->defname, "transaction_read_only") == 0)
	{
		bool		read_only = intVal(&value->val) != 0;

		if (!read_only && client_transaction_read_only() && (FirstSnapshotSet || IsSubTransaction()))
			return false;
		if (read_only && !client_transaction_read_only() && IsSubTransaction())
			asked.read_only_level = GetCurrentTransactionNestLevel();
		asked.read_only = read_only;
		asked.read_write = !read_only;
		return !read_only;
	}
	if (strcmp(option->defname, "transaction_isolation") == 0)
	{
		int			isolation = parse_isolation(strVal(&value->val));

		if (isolation != client_transaction_isolation())
			check_in_time();
		asked.isolation = isolation;
		asked.isolation_said = true;
		return true;
	}
	if (FirstSnapshotSet || IsSubTransaction())
		return false;
	if (strcmp(option->defname, "transaction_deferrable") == 0)
		asked.deferrable = intVal(&value->val) != 0;
	return false;
}

/*
 * Not too late to set the isolation level?  PostgreSQL can't tell: here it may be
 * another one.
 */
static void
check_in_time(void)
{
	if (FirstSnapshotSet)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("SET TRANSACTION ISOLATION LEVEL must be called before any query")));
	if (IsSubTransaction())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")));
}

static int
parse_isolation(const char *name)
{
	if (pg_strcasecmp(name, "serializable") == 0)
		return XACT_SERIALIZABLE;
	if (pg_strcasecmp(name, "repeatable read") == 0)
		return XACT_REPEATABLE_READ;
	if (pg_strcasecmp(name, "read uncommitted") == 0)
		return XACT_READ_UNCOMMITTED;
	return XACT_READ_COMMITTED;
}

static const char *
isolation_name(int isolation)
{
	switch (isolation)
	{
		case XACT_SERIALIZABLE:
			return "SERIALIZABLE";
		case XACT_REPEATABLE_READ:
			return "REPEATABLE READ";
		case XACT_READ_UNCOMMITTED:
			return "READ UNCOMMITTED";
		default:
			return "READ COMMITTED";
	}
}

/*
 * client_transaction_settle
 *		BEGIN or SET TRANSACTION is done: does the transaction run at the primary
 *		as a whole?
 *
 * Then this server only reads its catalogs for it, each time anew.
 */
void
client_transaction_settle(void)
{
	Declaration declaration;
	int			isolation = client_transaction_isolation();

	if (!IsTransactionBlock() || FirstSnapshotSet)
		return;
	asked.isolation = isolation;
	asked.isolation_said = true;
	declaration_of_settings(&declaration);
	asked.whole = isolation == XACT_SERIALIZABLE ||
		(isolation == XACT_REPEATABLE_READ &&
		 (declaration.leader || !client_transaction_read_only()));
	XactIsoLevel = asked.whole ? XACT_READ_COMMITTED : isolation;
}

/*
 * client_transaction_chain
 *		COMMIT AND CHAIN, or ROLLBACK: the next transaction will be like this one,
 *		if this one ends as the command says.
 *
 * One that has failed as a whole has ended.
 */
void
client_transaction_chain(bool commits)
{
	if (!IsAbortedTransactionBlockState())
		chained_by = commits ? XACT_EVENT_COMMIT : XACT_EVENT_ABORT;
	else if (IsSubTransaction())
		chained_by = XACT_EVENT_ABORT;
	else
		asked = before;
}

/* The transaction is over. */
void
client_transaction_end(XactEvent event)
{
	client_transaction_end_level(1);
	before = asked;
	if (chained_by != (int) event)
		memset(&asked, 0, sizeof(asked));
	chained_by = -1;
}

/* A subtransaction is over: was it alone read only? */
void
client_transaction_end_level(int level)
{
	if (asked.read_only_level == 0 || asked.read_only_level < level)
		return;
	asked.read_only = false;
	asked.read_only_level = 0;
}

/* Has the client begun it? */
bool
client_transaction_is_begun(void)
{
	return asked.begun;
}

/* Is it, by the client's will, read only? */
bool
client_transaction_read_only(void)
{
	return asked.read_only || (DefaultXactReadOnly && !asked.read_write);
}

/* Does it run at the primary as a whole? */
bool
client_transaction_is_whole(void)
{
	return asked.whole;
}

/* Its isolation level, whatever it is like here. */
int
client_transaction_isolation(void)
{
	return asked.isolation_said ? asked.isolation : XactIsoLevel;
}

/* The command that begins it at the primary; palloc'd. */
char *
client_transaction_begin_sql(void)
{
	return psprintf("BEGIN ISOLATION LEVEL %s%s%s",
					isolation_name(client_transaction_isolation()),
					client_transaction_read_only() ? " READ ONLY" :
					asked.read_write ? " READ WRITE" : "",
					asked.deferrable || XactDeferrable ? " DEFERRABLE" : "");
}
