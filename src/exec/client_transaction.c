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
	bool		read_only;
	int			read_only_level;	/* nesting level that made it so */
	bool		read_write;
	bool		deferrable;
	int			isolation;		/* XACT_..., 0: not said */
	bool		whole;			/* it runs at the primary as a whole */
	bool		chained;		/* the next one will be the same */
} ClientTransaction;

static ClientTransaction asked;

static List *adapt_options(List *options);
static bool take_option(const DefElem *option);
static int	parse_isolation(const char *name);
static const char *isolation_name(int isolation);

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

		if (!read_only && asked.read_only && FirstSnapshotSet)
			return false;
		if (read_only && !client_transaction_read_only())
			asked.read_only_level = GetCurrentTransactionNestLevel();
		asked.read_only = read_only;
		asked.read_write = !read_only;
		return !read_only;
	}
	/* To ask again for what it has comes never too late. */
	if (strcmp(option->defname, "transaction_isolation") == 0 &&
		parse_isolation(strVal(&value->val)) == client_transaction_isolation())
		return true;
	if (FirstSnapshotSet || IsSubTransaction())
		return false;
	if (strcmp(option->defname, "transaction_isolation") == 0)
	{
		asked.isolation = parse_isolation(strVal(&value->val));
		return true;
	}
	if (strcmp(option->defname, "transaction_deferrable") == 0)
		asked.deferrable = intVal(&value->val) != 0;
	return false;
}

static int
parse_isolation(const char *name)
{
	if (pg_strcasecmp(name, "serializable") == 0)
		return XACT_SERIALIZABLE;
	if (pg_strcasecmp(name, "repeatable read") == 0)
		return XACT_REPEATABLE_READ;
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
	declaration_of_settings(&declaration);
	asked.whole = isolation == XACT_SERIALIZABLE ||
		(isolation == XACT_REPEATABLE_READ &&
		 (declaration.leader || !client_transaction_read_only()));
	XactIsoLevel = asked.whole ? XACT_READ_COMMITTED : isolation;
}

/* The next transaction will be like this one: COMMIT AND CHAIN. */
void
client_transaction_chain(void)
{
	asked.chained = true;
}

/* The transaction is over. */
void
client_transaction_forget(void)
{
	if (!asked.chained)
		memset(&asked, 0, sizeof(asked));
	asked.chained = false;
}

/* A subtransaction ends: what it has asked for is its parent's, or gone. */
void
client_transaction_end_level(int level, bool committed)
{
	if (!asked.read_only || asked.read_only_level < level)
		return;
	if (committed)
		asked.read_only_level = level - 1;
	else
		asked.read_only = false;
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
	return asked.isolation != 0 ? asked.isolation : XactIsoLevel;
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
