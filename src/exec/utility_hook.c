/*-------------------------------------------------------------------------
 *
 * utility_hook.c
 *	  Utility statements that concern us.
 *
 * Those of a walsender don't: what copies a table for a subscription reads with
 * the snapshot of its replication slot, which must be the transaction's first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/prepare.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "replication/walsender.h"
#include "tcop/utility.h"

#include "core/extension.h"
#include "exec/ahead.h"
#include "exec/client_transaction.h"
#include "exec/enforce.h"
#include "exec/forward.h"
#include "exec/forward_hold.h"
#include "exec/forward_transaction.h"
#include "exec/forward_utility.h"
#include "exec/nesting.h"
#include "exec/utility_hook.h"
#include "exec/write_quorum.h"
#include "remote/connection.h"
#include "remote/settings_report.h"
#include "session/commits.h"
#include "session/session.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void consistency_ProcessUtility(PlannedStmt *pstmt, const char *queryString,
									   bool readOnlyTree, ProcessUtilityContext context,
									   ParamListInfo params, QueryEnvironment *queryEnv,
									   DestReceiver *dest, QueryCompletion *qc);
static PlannedStmt *adapt_transaction(PlannedStmt *pstmt);
static void before_utility(const PlannedStmt *pstmt, const char *text);
static void before_copy(CopyStmt *statement, const PlannedStmt *pstmt, const char *text);
static const char *prepared_text(Node *statement);
static void after_utility(Node *statement);
static void refuse_alter_system(AlterSystemStmt *statement);

/* Install the hook. */
void
utility_hook_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = consistency_ProcessUtility;
}

static void
consistency_ProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
						   ProcessUtilityContext context, ParamListInfo params,
						   QueryEnvironment *queryEnv, DestReceiver *dest,
						   QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	NodeTag		outer;
	bool		outermost = nesting_depth == 0 && nesting_utility == T_Invalid &&
	context != PROCESS_UTILITY_SUBCOMMAND && !am_walsender && extension_is_created();
	bool		ends_transaction = IsA(statement, TransactionStmt) &&
	((TransactionStmt *) statement)->kind != TRANS_STMT_BEGIN &&
	((TransactionStmt *) statement)->kind != TRANS_STMT_START;
	bool		commits_prepared = IsA(statement, TransactionStmt) &&
	((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;

	if (IsA(statement, AlterSystemStmt))
		refuse_alter_system((AlterSystemStmt *) statement);

	if (outermost)
	{
		settings_report_touch();
		enforce_begin_utility();
		ahead_forget();
		if (RecoveryInProgress())
		{
			if (forward_utility(pstmt, queryString, params, dest, qc))
				return;
			pstmt = adapt_transaction(pstmt);
		}
		else if (!IsA(statement, TransactionStmt))
			forward_transaction_check_promotion();
		before_utility(pstmt, queryString);
		nesting_explains = IsA(statement, ExplainStmt) && !nesting_explain_executes((ExplainStmt *) statement);
	}

	if (MyBackendType == B_BACKEND && (IsA(statement, CopyStmt) || IsA(statement, TruncateStmt)) &&
		extension_is_created())
		write_quorum_of_utility(statement);
	if (commits_prepared && outermost)
		write_quorum_before_prepared();
	if (commits_prepared)
		commits_begin_prepared(((TransactionStmt *) statement)->gid);

	outer = nesting_begin_utility((IsA(statement, CopyStmt) && ((CopyStmt *) statement)->is_from) ?
								  T_InsertStmt : nodeTag(statement),
								  queryString, outermost ? prepared_text(statement) : NULL,
								  pstmt->stmt_location, pstmt->stmt_len);
	PG_TRY();
	{
		if (prev_ProcessUtility)
			prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
								queryEnv, dest, qc);
		else
			standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
									queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		nesting_utility = outer;
		if (outermost)
		{
			ahead_forget();		/* it may have run nothing */
			nesting_explains = false;
		}
		if (commits_prepared)
			commits_end_prepared();
	}
	PG_END_TRY();

	/* One that ended the transaction may be gone by now. */
	if (outermost && !ends_transaction)
		after_utility(statement);
}

/*
 * What the client of a replica asks of its transaction isn't all for this server:
 * the statement without that.
 */
static PlannedStmt *
adapt_transaction(PlannedStmt *pstmt)
{
	Node	   *statement = pstmt->utilityStmt;
	PlannedStmt *adapted;
	bool		begins = IsA(statement, TransactionStmt) &&
	(((TransactionStmt *) statement)->kind == TRANS_STMT_BEGIN ||
	 ((TransactionStmt *) statement)->kind == TRANS_STMT_START);

	if (IsA(statement, TransactionStmt) && ((TransactionStmt *) statement)->chain)
		client_transaction_chain(((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT);
	if (!begins && !(IsA(statement, VariableSetStmt) &&
					 client_transaction_is_set((VariableSetStmt *) statement)))
		return pstmt;
	if (!IsTransactionState() || !forward_takes_writes())
		return pstmt;
	adapted = makeNode(PlannedStmt);
	memcpy(adapted, pstmt, sizeof(PlannedStmt));
	adapted->utilityStmt = client_transaction_adapt(statement);
	return adapted;
}

static void
before_utility(const PlannedStmt *pstmt, const char *text)
{
	Node	   *statement = pstmt->utilityStmt;

	switch (nodeTag(statement))
	{
		case T_ExplainStmt:
			if (nesting_explain_executes((ExplainStmt *) statement))
				ahead_of_utility(text, pstmt->stmt_location, pstmt->stmt_len, true);
			break;
		case T_CopyStmt:
			before_copy((CopyStmt *) statement, pstmt, text);
			break;
		case T_DeclareCursorStmt:
		case T_ExecuteStmt:
			ahead_of_utility(text, pstmt->stmt_location, pstmt->stmt_len, true);
			break;
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_DoStmt:
			ahead_of_utility(text, pstmt->stmt_location, pstmt->stmt_len, false);
			break;
		case T_CallStmt:
			if (!ahead_is_wait_for(((CallStmt *) statement)->funcexpr->funcid))
				ahead_of_utility(text, pstmt->stmt_location, pstmt->stmt_len, false);
			break;
		case T_TransactionStmt:
			if (((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED)
				session_wrote_without_xid();
			break;
		default:
			break;
	}
}

/* A table that is copied is read without any query. */
static void
before_copy(CopyStmt *statement, const PlannedStmt *pstmt, const char *text)
{
	Oid			relation = InvalidOid;

	if (statement->relation && !statement->is_from)
		relation = RangeVarGetRelid(statement->relation, NoLock, true);
	if (OidIsValid(relation))
		ahead_of_copy(text, pstmt->stmt_location, pstmt->stmt_len, relation);
	else
		ahead_of_utility(text, pstmt->stmt_location, pstmt->stmt_len, !statement->is_from);
}

/* The text of the prepared statement that a statement executes; NULL if none. */
static const char *
prepared_text(Node *statement)
{
	PreparedStatement *prepared;
	Node	   *query = NULL;

	if (IsA(statement, ExplainStmt))
		query = ((ExplainStmt *) statement)->query;
	else if (IsA(statement, CreateTableAsStmt))
		query = ((CreateTableAsStmt *) statement)->query;
	if (query && IsA(query, Query) && ((Query *) query)->utilityStmt)
		return prepared_text(((Query *) query)->utilityStmt);

	if (!IsA(statement, ExecuteStmt))
		return NULL;
	prepared = FetchPreparedStatement(((ExecuteStmt *) statement)->name, false);
	return prepared ? prepared->plansource->query_string : NULL;
}

static void
after_utility(Node *statement)
{
	if (IsA(statement, TransactionStmt))
	{
		TransactionStmtKind kind = ((TransactionStmt *) statement)->kind;

		if (kind == TRANS_STMT_BEGIN || kind == TRANS_STMT_START)
		{
			if (RecoveryInProgress() && forward_takes_writes())
				client_transaction_settle();
			ahead_of_first_snapshot();
		}
	}
	else if (IsA(statement, VariableSetStmt))
	{
		VariableSetStmt *set = (VariableSetStmt *) statement;

		if (client_transaction_is_set(set) && RecoveryInProgress() && forward_takes_writes())
			client_transaction_settle();
		if (set->kind == VAR_RESET_ALL)
			session_reset();
		else if (set->kind == VAR_SET_MULTI ||
				 (set->kind == VAR_SET_VALUE && (strcmp(set->name, "consistency") == 0 ||
												 strcmp(set->name, "consistency.read_quorum") == 0)))
			ahead_of_first_snapshot();
		else if (set->kind == VAR_SET_VALUE && strcmp(set->name, "consistency.token") == 0)
			ahead_after_import();
	}
	else if (IsA(statement, DeclareCursorStmt) && RecoveryInProgress())
		forward_hold_note((DeclareCursorStmt *) statement);
	else if (IsA(statement, DiscardStmt))
	{
		if (((DiscardStmt *) statement)->target == DISCARD_ALL)
		{
			session_reset();
			connection_discard_all();
		}
	}
}

/*
 * refuse_alter_system
 *		Keep "consistency" out of postgresql.auto.conf: the server would not
 *		start any more (see session/level.c).
 */
static void
refuse_alter_system(AlterSystemStmt *statement)
{
	if (statement->setstmt->name == NULL ||
		pg_strcasecmp(statement->setstmt->name, "consistency") != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
			 errmsg("parameter \"consistency\" cannot be set in configuration files"),
			 errhint("Use ALTER SYSTEM SET consistency.default_level.")));
}
