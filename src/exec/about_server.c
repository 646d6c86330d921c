/*-------------------------------------------------------------------------
 *
 * about_server.c
 *	  Is a statement about this server, rather than about data?
 *
 * Nothing is demanded of a statement that reads no data: it only computes, or
 * calls our own functions, which tell about the server that they run at.
 * Heartbeats are among those, what a router sends ahead of a query, and what our
 * views show, be it sorted, joined or added up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "core/extension.h"
#include "exec/about_server.h"

static bool reads_relation(const PlannedStmt *plan);
static bool plan_reads_data(const Plan *plan);
static bool own_expressions_read_data(const Plan *plan);
static bool list_reads_data(const List *list);
static bool reads_data_walker(Node *node, void *context);
static bool function_reads_data(Oid function, void *context);
static bool own_function_reads_data(Oid function);

/* Does a statement read no data, so that nothing is demanded of it? */
bool
about_server(const PlannedStmt *plan)
{
	return plan->commandType == CMD_SELECT && plan->subplans == NIL &&
		!reads_relation(plan) && !plan_reads_data(plan->planTree);
}

/* A relation that is only named, as a regclass, isn't read. */
static bool
reads_relation(const PlannedStmt *plan)
{
	ListCell   *cell;

	foreach(cell, plan->relationOids == NIL ? NIL : plan->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (OidIsValid(entry->relid) && entry->rtekind == RTE_RELATION &&
			entry->relkind != RELKIND_VIEW)
			return true;
	}
	return false;
}

/* What isn't known here may read data. */
static bool
plan_reads_data(const Plan *plan)
{
	ListCell   *cell;

	if (plan == NULL)
		return false;
	if (own_expressions_read_data(plan) || list_reads_data(plan->targetlist) ||
		list_reads_data(plan->qual))
		return true;
	if (IsA(plan, SubqueryScan))
		return plan_reads_data(((const SubqueryScan *) plan)->subplan);
	if (IsA(plan, Append))
	{
		foreach(cell, ((const Append *) plan)->appendplans)
		{
			if (plan_reads_data(lfirst(cell)))
				return true;
		}
	}
	return plan_reads_data(outerPlan(plan)) || plan_reads_data(innerPlan(plan));
}

/* The same of the expressions that a kind of nodes has for itself. */
static bool
own_expressions_read_data(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			return reads_data_walker(((const Result *) plan)->resconstantqual, NULL);
		case T_FunctionScan:
			return list_reads_data(((const FunctionScan *) plan)->functions);
		case T_Limit:
			return reads_data_walker(((const Limit *) plan)->limitOffset, NULL) ||
				reads_data_walker(((const Limit *) plan)->limitCount, NULL);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			/* what these sort and hash by are operators of the index kind */
			return list_reads_data(((const Join *) plan)->joinqual);
		case T_Agg:
		case T_Append:
		case T_Group:
		case T_Hash:
		case T_IncrementalSort:
		case T_Material:
		case T_ProjectSet:
		case T_Sort:
		case T_SubqueryScan:
		case T_Unique:
		case T_ValuesScan:
		case T_WindowAgg:
			return false;
		default:
			return true;
	}
}

static bool
list_reads_data(const List *list)
{
	return reads_data_walker(unconstify(Node *, (const Node *) list), NULL);
}

static bool
reads_data_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr) || check_functions_in_node(node, function_reads_data, NULL))
		return true;
	return expression_tree_walker(node, reads_data_walker, context);
}

static bool
function_reads_data(Oid function, void *context)
{
	switch (function)
	{
		case F_SET_CONFIG:
			/* what a new connection asks for: connect.c */
		case F_PG_BACKEND_PID:
			/* what health checks ask each node for */
		case F_PG_IS_IN_RECOVERY:
		case F_PG_LAST_WAL_RECEIVE_LSN:
		case F_PG_LAST_WAL_REPLAY_LSN:
		case F_PG_LAST_XACT_REPLAY_TIMESTAMP:
			return false;
		default:
			break;
	}
	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	return !extension_owns_schema(get_func_namespace(function)) || own_function_reads_data(function);
}

/* One of ours: does it read tables, and is to be kept what was promised? */
static bool
own_function_reads_data(Oid function)
{
	static const char *const names[] = {"block_digests", "block_rows"};
	char	   *name = get_func_name(function);

	for (int i = 0; name && i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}
