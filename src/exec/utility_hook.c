/*-------------------------------------------------------------------------
 *
 * utility_hook.c
 *	  Utility statements that concern us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "core/extension.h"
#include "exec/enforce.h"
#include "exec/nesting.h"
#include "exec/utility_hook.h"
#include "session/commits.h"
#include "session/session.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void consistency_ProcessUtility(PlannedStmt *pstmt, const char *queryString,
									   bool readOnlyTree, ProcessUtilityContext context,
									   ParamListInfo params, QueryEnvironment *queryEnv,
									   DestReceiver *dest, QueryCompletion *qc);
static void before_utility(const PlannedStmt *pstmt, const char *text);
static void before_copy(const PlannedStmt *pstmt, const char *text);
static bool explain_executes(ExplainStmt *statement);
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
	NodeTag		outer = nesting_utility;
	bool		outermost = nesting_depth == 0 && outer == T_Invalid &&
	context != PROCESS_UTILITY_SUBCOMMAND && extension_is_created();

	bool		commits_prepared = IsA(statement, TransactionStmt) &&
	((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;

	if (IsA(statement, AlterSystemStmt))
		refuse_alter_system((AlterSystemStmt *) statement);

	if (outermost)
		before_utility(pstmt, queryString);

	if (commits_prepared)
		commits_begin_unknown();

	if (outer == T_Invalid)
	{
		nesting_utility = (IsA(statement, CopyStmt) && ((CopyStmt *) statement)->is_from) ?
			T_InsertStmt : nodeTag(statement);
		nesting_utility_statement = pstmt;
		nesting_utility_text = queryString;
	}
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
		if (outer == T_Invalid)
			nesting_utility_statement = NULL;
		if (commits_prepared)
			commits_end_unknown();
	}
	PG_END_TRY();

	/* The statement may be gone by now only if it ended the transaction. */
	if (outermost)
		after_utility(statement);
}

static void
before_utility(const PlannedStmt *pstmt, const char *text)
{
	Node	   *statement = pstmt->utilityStmt;

	switch (nodeTag(statement))
	{
		case T_ExplainStmt:
			if (explain_executes((ExplainStmt *) statement))
				enforce_before_utility(text, pstmt->stmt_location, pstmt->stmt_len);
			break;
		case T_CopyStmt:
			before_copy(pstmt, text);
			break;
		case T_DeclareCursorStmt:
		case T_ExecuteStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_DoStmt:
			enforce_before_utility(text, pstmt->stmt_location, pstmt->stmt_len);
			break;
		case T_CallStmt:
			if (!enforce_is_wait_for(((CallStmt *) statement)->funcexpr->funcid))
				enforce_before_utility(text, pstmt->stmt_location, pstmt->stmt_len);
			break;
		case T_TransactionStmt:
			if (((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED)
				session_wrote_without_xid();
			break;
		default:
			break;
	}
}

/* COPY of a table is a read itself; that of a query has one inside. */
static void
before_copy(const PlannedStmt *pstmt, const char *text)
{
	CopyStmt   *copy = (CopyStmt *) pstmt->utilityStmt;
	Oid			relation = InvalidOid;

	if (copy->relation && !copy->is_from)
		relation = RangeVarGetRelid(copy->relation, NoLock, true);
	if (OidIsValid(relation))
		enforce_copy_of_table(text, pstmt->stmt_location, pstmt->stmt_len, relation);
	else
		enforce_before_utility(text, pstmt->stmt_location, pstmt->stmt_len);
}

/* EXPLAIN ANALYZE? */
static bool
explain_executes(ExplainStmt *statement)
{
	ListCell   *cell;
	bool		analyze = false;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

static void
after_utility(Node *statement)
{
	if (IsA(statement, TransactionStmt))
	{
		TransactionStmtKind kind = ((TransactionStmt *) statement)->kind;

		if (kind == TRANS_STMT_BEGIN || kind == TRANS_STMT_START)
			enforce_before_first_snapshot();
	}
	else if (IsA(statement, VariableSetStmt))
	{
		VariableSetStmt *set = (VariableSetStmt *) statement;

		if (set->kind == VAR_RESET_ALL)
			session_reset();
		else if (set->kind == VAR_SET_MULTI)
			enforce_before_first_snapshot();
		else if (set->kind == VAR_SET_VALUE && strcmp(set->name, "consistency.token") == 0)
			enforce_after_import();
	}
	else if (IsA(statement, DiscardStmt))
	{
		if (((DiscardStmt *) statement)->target == DISCARD_ALL)
			session_reset();
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
