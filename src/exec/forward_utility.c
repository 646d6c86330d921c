/*-------------------------------------------------------------------------
 *
 * forward_utility.c
 *	  Utility statements of a replica's client that run at the primary.
 *
 * They go there as a whole, in the client's words.  What concerns the session
 * runs here: settings, prepared statements, cursors, the transaction itself.
 *
 * Some can't be sent on its behalf, since what they make belongs to a session:
 * temporary tables, LISTEN, prepared transactions.  They get the error that a
 * replica gives without us, with a hint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "exec/ahead.h"
#include "exec/client_transaction.h"
#include "exec/forward.h"
#include "exec/forward_copy.h"
#include "exec/forward_execute.h"
#include "exec/forward_release.h"
#include "exec/forward_statement.h"
#include "exec/forward_transaction.h"
#include "exec/forward_utility.h"
#include "exec/nesting.h"
#include "exec/writes.h"
#include "session/declaration.h"
#include "session/session.h"
#include "stats/last_read.h"

typedef enum Place
{
	PLACE_HERE,
	PLACE_PRIMARY,				/* it changes no catalogs */
	PLACE_PRIMARY_CATALOGS,		/* it may change catalogs */
	PLACE_NOWHERE				/* it can't be sent */
} Place;

static Place place_of(Node *statement, const Declaration *declaration);
static Place place_of_explain(const ExplainStmt *statement);
static Place place_of_copy(const CopyStmt *statement, const Declaration *declaration);
static Place place_of_definition(Node *statement);
static bool makes_temporary(Node *statement);
static bool is_temporary(const RangeVar *relation);
static bool is_in_temporary_schema(const List *name);
static bool must_be_alone(Node *statement);
static bool commits_itself(Node *statement);
static bool detaches_concurrently(const AlterTableStmt *statement);
static void refuse(Node *statement) pg_attribute_noreturn();
static void note_promise(const Declaration *declaration);
static void run(ForwardStatement *forward, Node *statement, DestReceiver *dest,
				QueryCompletion *qc);
static void send_rows(ForwardStatement *forward, DestReceiver *dest);

/*
 * forward_utility
 *		Run a client's utility statement at the primary, if it belongs there.
 *		False: it runs here.
 */
bool
forward_utility(const PlannedStmt *pstmt, const char *text, ParamListInfo params,
				DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	ForwardStatement *forward;
	Declaration declaration;
	Place		place;
	int			location = pstmt->stmt_location;
	int			length = pstmt->stmt_len;

	if (!IsTransactionState())
		return false;
	nesting_locate(text, false, &location, &length);
	declaration_of_statement(&declaration, text, location, length, NIL);
	place = place_of(statement, &declaration);
	/* LOCK is for transactions that are read only, too. */
	if (place == PLACE_HERE ||
		!(IsA(statement, LockStmt) ? forward_takes_writes() : forward_may_write()))
		return false;
	if (place == PLACE_NOWHERE)
		refuse(statement);
	if (forward_statement_is_another(pstmt))
		return true;
	if (place == PLACE_PRIMARY_CATALOGS)
		forward_transaction_changes_catalogs();
	note_promise(&declaration);

	forward = palloc0(sizeof(ForwardStatement));
	forward->text = forward_text_of_statement(text, location, length);
	forward->params = forward_statement_params(params, &forward->nparams);
	forward->declaration = declaration;
	forward->writes = true;
	forward_release_portal();
	run(forward, statement, dest, qc);
	return true;
}

static Place
place_of(Node *statement, const Declaration *declaration)
{
	switch (nodeTag(statement))
	{
		case T_AlterSystemStmt:
		case T_CheckPointStmt:
		case T_ClosePortalStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_DiscardStmt:
		case T_ExecuteStmt:
		case T_FetchStmt:
		case T_LoadStmt:
		case T_PrepareStmt:
		case T_UnlistenStmt:
			return PLACE_HERE;
		case T_VariableSetStmt:
			return forward_transaction_route() &&
				client_transaction_is_set((VariableSetStmt *) statement) ?
				PLACE_PRIMARY : PLACE_HERE;
		case T_TransactionStmt:
			switch (((TransactionStmt *) statement)->kind)
			{
				case TRANS_STMT_PREPARE:
				case TRANS_STMT_COMMIT_PREPARED:
				case TRANS_STMT_ROLLBACK_PREPARED:
					return PLACE_NOWHERE;
				case TRANS_STMT_BEGIN:
				case TRANS_STMT_START:

					/*
					 * In a transaction it is a warning, and sets what it asks
					 * for.
					 */
					return client_transaction_is_begun() && forward_transaction_route() ?
						PLACE_PRIMARY : PLACE_HERE;
				default:
					return PLACE_HERE;
			}
		case T_ListenStmt:
			return PLACE_NOWHERE;
		case T_VariableShowStmt:
			return forward_transaction_is_open() &&
				strncmp(((VariableShowStmt *) statement)->name, "transaction_",
						strlen("transaction_")) == 0 ? PLACE_PRIMARY : PLACE_HERE;
		case T_LockStmt:
			return PLACE_PRIMARY;
		case T_ConstraintsSetStmt:
			/* Outside a transaction PostgreSQL says what is wrong with it. */
			return IsTransactionBlock() ? PLACE_PRIMARY : PLACE_HERE;
		case T_CallStmt:
			/* That waits for this server. */
			return ahead_is_wait_for(((CallStmt *) statement)->funcexpr->funcid) ?
				PLACE_HERE : PLACE_PRIMARY;
		case T_NotifyStmt:
			return PLACE_PRIMARY;
		case T_ExplainStmt:
			return place_of_explain((ExplainStmt *) statement);
		case T_CopyStmt:
			return place_of_copy((CopyStmt *) statement, declaration);
		default:
			return place_of_definition(statement);
	}
}

/* EXPLAIN that executes a write: the plan is the primary's. */
static Place
place_of_explain(const ExplainStmt *statement)
{
	Query	   *query = castNode(Query, statement->query);

	if (!nesting_explain_executes(statement))
		return PLACE_HERE;
	if (query->commandType == CMD_UTILITY && IsA(query->utilityStmt, CreateTableAsStmt))
		return PLACE_PRIMARY_CATALOGS;
	if (query->commandType == CMD_UTILITY)
		return IsA(query->utilityStmt, ExecuteStmt) &&
			forward_execute_writes((ExecuteStmt *) query->utilityStmt) ? PLACE_PRIMARY : PLACE_HERE;
	return writes_query(query) ? PLACE_PRIMARY : PLACE_HERE;
}

/* A file is one of the server that the client is connected to. */
static Place
place_of_copy(const CopyStmt *statement, const Declaration *declaration)
{
	if (statement->is_from)
		return statement->filename ? PLACE_NOWHERE : PLACE_PRIMARY;
	if (forward_transaction_is_open())
		return statement->filename ? PLACE_NOWHERE : PLACE_PRIMARY;
	return declaration->leader && !statement->filename ? PLACE_PRIMARY : PLACE_HERE;
}

/* Whatever else there is, most of it DDL. */
static Place
place_of_definition(Node *statement)
{
	return makes_temporary(statement) ? PLACE_NOWHERE : PLACE_PRIMARY_CATALOGS;
}

static bool
makes_temporary(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			return is_temporary(((CreateStmt *) statement)->relation);
		case T_CreateSeqStmt:
			return is_temporary(((CreateSeqStmt *) statement)->sequence);
		case T_CreateTableAsStmt:
			return is_temporary(((CreateTableAsStmt *) statement)->into->rel);
		case T_ViewStmt:
			return is_temporary(((ViewStmt *) statement)->view);
		case T_CompositeTypeStmt:
			return is_temporary(((CompositeTypeStmt *) statement)->typevar);
		case T_CreateDomainStmt:
			return is_in_temporary_schema(((CreateDomainStmt *) statement)->domainname);
		case T_CreateEnumStmt:
			return is_in_temporary_schema(((CreateEnumStmt *) statement)->typeName);
		case T_CreateFunctionStmt:
			return is_in_temporary_schema(((CreateFunctionStmt *) statement)->funcname);
		case T_CreateRangeStmt:
			return is_in_temporary_schema(((CreateRangeStmt *) statement)->typeName);
		case T_DefineStmt:
			return is_in_temporary_schema(((DefineStmt *) statement)->defnames);
		default:
			return false;
	}
}

static bool
is_temporary(const RangeVar *relation)
{
	return relation->relpersistence == RELPERSISTENCE_TEMP ||
		(relation->schemaname && strcmp(relation->schemaname, "pg_temp") == 0);
}

/* A name as a list of its parts */
static bool
is_in_temporary_schema(const List *name)
{
	int			length = list_length(name);

	return length > 1 && strcmp(strVal(list_nth(name, length - 2)), "pg_temp") == 0;
}

/* Is nothing else allowed in its transaction, or its message? */
static bool
must_be_alone(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterDatabaseStmt:
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
		case T_CallStmt:
		case T_DoStmt:
			return true;
		default:
			return commits_itself(statement);
	}
}

/*
 * Does it commit what it does, whatever the client sends behind it?  Those that
 * do so only at times change no data at the others, either.
 */
static bool
commits_itself(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_ReindexStmt:
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
			return true;
		case T_IndexStmt:
			return ((IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) statement)->concurrent;
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) statement);
		default:
			return false;
	}
}

static bool
detaches_concurrently(const AlterTableStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_DetachPartition && ((PartitionCmd *) command->def)->concurrent)
			return true;
	}
	return false;
}

/* The error of a replica, and what to do about it. */
static void
refuse(Node *statement)
{
	const char *name = IsA(statement, CopyStmt) && ((CopyStmt *) statement)->is_from ?
	"COPY FROM" : GetCommandTagName(CreateCommandTag(statement));

	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 IsA(statement, ListenStmt) || IsA(statement, TransactionStmt) ?
			 errmsg("cannot execute %s during recovery", name) :
			 errmsg("cannot execute %s in a read-only transaction", name),
			 errdetail("It concerns this session or this server, and so can't be run at the primary on its behalf."),
			 errhint("Connect to the primary for it.")));
}

/* A statement begins: tell consistency.last_read() what it is promised. */
static void
note_promise(const Declaration *declaration)
{
	Requirement requirement = requirement_of(declaration, session_context());

	(void) last_read_begin();
	last_read_promise(declaration, &requirement);
}

static void
run(ForwardStatement *forward, Node *statement, DestReceiver *dest, QueryCompletion *qc)
{
	const ExecuteStmt *execute = forward_execute_in(statement);
	const char *prepared = execute ? forward_execute_prepare(forward, execute) : NULL;

	if (IsA(statement, CopyStmt))
		forward_copy(forward);
	else
	{
		forward->commits_itself = commits_itself(statement);
		forward->bare = must_be_alone(statement) &&
			forward_transaction_scope(forward->commits_itself) == FORWARD_ALONE;
		forward->columns = UtilityReturnsTuples(statement) ?
			UtilityTupleDescriptor(statement) : NULL;
		if (forward->columns)
			send_rows(forward, dest);
		else
			forward_statement_run(forward);
	}
	forward_statement_note(forward, "statement runs at the primary only");
	if (prepared)
		forward_execute_deallocate(forward, prepared);
	if (qc)
		forward_statement_completion(forward, qc);
}

/* Run it, and give its rows to the client. */
static void
send_rows(ForwardStatement *forward, DestReceiver *dest)
{
	TupOutputState *output;

	forward_statement_start(forward);
	output = begin_tup_output_tupdesc(dest, forward->columns, &TTSOpsVirtual);
	while (forward_statement_next(forward, output->slot))
		(void) dest->receiveSlot(output->slot, dest);
	end_tup_output(output);
}
