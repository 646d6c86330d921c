/*-------------------------------------------------------------------------
 *
 * forward.c
 *	  Plans a read anew that this replica can't serve, for the primary.
 *
 * Reads at a replica are planned as always, since mostly they run there.  That a
 * read has to go to the primary shows only when its execution begins, and by
 * then nothing is left of the query but its plan and its text.  So the text is
 * analysed again.  That gives the same query: the plan cache as well analyses
 * anew whatever may have changed its meaning, search_path included.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"

#include "exec/forward.h"
#include "exec/nesting.h"
#include "exec/planner_hook.h"
#include "exec/routed_plan.h"

static RawStmt *find_statement(List *statements, int location);
static Node *query_inside(Node *statement, int *cursor_options);
static Oid *param_types(ParamListInfo params, int *count);
static bool same_columns(const PlannedStmt *plan, const PlannedStmt *other);

/*
 * forward_plan
 *		A plan for a query about to be executed that runs it at the primary;
 *		NULL if it can't be sent there.
 *
 * Needs an active snapshot.
 */
PlannedStmt *
forward_plan(const QueryDesc *queryDesc)
{
	const PlannedStmt *old = queryDesc->plannedstmt;
	int			location = old->stmt_location;
	int			length = old->stmt_len;
	int			cursor_options = 0;
	RawStmt    *statement;
	List	   *queries;
	PlannedStmt *plan;
	Oid		   *types;
	int			ntypes;

	if (queryDesc->sourceText == NULL || old->commandType != CMD_SELECT)
		return NULL;
	nesting_locate(queryDesc->sourceText, &location, &length);
	statement = find_statement(pg_parse_query(queryDesc->sourceText), location);
	if (statement == NULL)
		return NULL;
	statement->stmt = query_inside(statement->stmt, &cursor_options);
	if (!IsA(statement->stmt, SelectStmt))
		return NULL;

	types = param_types(queryDesc->params, &ntypes);
	queries = pg_analyze_and_rewrite_fixedparams(statement, queryDesc->sourceText, types, ntypes,
												 queryDesc->queryEnv);
	if (list_length(queries) != 1 || linitial_node(Query, queries)->commandType != CMD_SELECT)
		return NULL;

	plan = planner_hook_plan_for_primary(linitial_node(Query, queries), queryDesc->sourceText,
										 cursor_options);
	if (plan == NULL || !same_columns(plan, old))
		return NULL;
	routed_plan_set_to_primary(plan);
	return plan;
}

/* The statement that begins at a location. */
static RawStmt *
find_statement(List *statements, int location)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		RawStmt    *statement = lfirst_node(RawStmt, cell);

		if (statement->stmt_location == Max(location, 0) || list_length(statements) == 1)
			return statement;
	}
	return NULL;
}

/*
 * The query that a statement runs, shows or hands out; or the statement itself.
 * A cursor's options as well.
 */
static Node *
query_inside(Node *statement, int *cursor_options)
{
	switch (nodeTag(statement))
	{
		case T_PrepareStmt:
			return ((PrepareStmt *) statement)->query;
		case T_DeclareCursorStmt:
			*cursor_options = ((DeclareCursorStmt *) statement)->options;
			return ((DeclareCursorStmt *) statement)->query;
		case T_ExplainStmt:
			return ((ExplainStmt *) statement)->query;
		case T_CopyStmt:
			return ((CopyStmt *) statement)->query ? ((CopyStmt *) statement)->query : statement;
		default:
			return statement;
	}
}

/* The types of the parameters that the query is executed with. */
static Oid *
param_types(ParamListInfo params, int *count)
{
	Oid		   *types;

	*count = params ? params->numParams : 0;
	types = palloc(sizeof(Oid) * (*count + 1));
	for (int i = 0; i < *count; i++)
	{
		ParamExternData work;

		types[i] = params->paramFetch ?
			params->paramFetch(params, i + 1, false, &work)->ptype : params->params[i].ptype;
	}
	return types;
}

/* The client was told these columns. */
static bool
same_columns(const PlannedStmt *plan, const PlannedStmt *other)
{
	TupleDesc	columns = ExecCleanTypeFromTL(plan->planTree->targetlist);
	TupleDesc	others = ExecCleanTypeFromTL(other->planTree->targetlist);
	bool		same = columns->natts == others->natts;

	for (int i = 0; same && i < columns->natts; i++)
		same = TupleDescAttr(columns, i)->atttypid == TupleDescAttr(others, i)->atttypid &&
			TupleDescAttr(columns, i)->atttypmod == TupleDescAttr(others, i)->atttypmod;
	return same;
}
