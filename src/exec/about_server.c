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
 * Functions that tell the time, or the like, read no data either, but the answer
 * must be the transaction's, wherever that runs.  So a statement of these alone
 * isn't about this server; with one of our functions in it, it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/extension.h"
#include "exec/about_server.h"

/* What was seen of a statement, as long as nothing in it reads data */
typedef struct Calls
{
	bool		own;			/* one of our functions */
	bool		incidental;		/* one that only goes along with ours */
} Calls;

static bool reads_relation(const PlannedStmt *plan);
static bool subplans_read_data(const PlannedStmt *plan, Calls *calls);
static bool plan_reads_data(const Plan *plan, Calls *calls);
static bool own_expressions_read_data(const Plan *plan, Calls *calls);
static bool list_reads_data(const List *list, Calls *calls);
static bool reads_data_walker(Node *node, void *calls);
static bool tells_time(const Node *node);
static bool function_reads_data(Oid function, void *calls);
static bool aggregate_reads_data(Oid function, Calls *calls);
static bool is_incidental(Oid function);
static bool own_function_reads_data(Oid function);

/* Does a statement read no data, so that nothing is demanded of it? */
bool
about_server(const PlannedStmt *plan)
{
	Calls		calls = {0};

	return plan->commandType == CMD_SELECT && !reads_relation(plan) &&
		!subplans_read_data(plan, &calls) && !plan_reads_data(plan->planTree, &calls) &&
		(calls.own || !calls.incidental);
}

/* Those of WITH, and of subqueries in expressions. */
static bool
subplans_read_data(const PlannedStmt *plan, Calls *calls)
{
	ListCell   *cell;

	foreach(cell, plan->subplans)
	{
		if (plan_reads_data(lfirst(cell), calls))
			return true;
	}
	return false;
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
plan_reads_data(const Plan *plan, Calls *calls)
{
	ListCell   *cell;

	if (plan == NULL)
		return false;
	if (own_expressions_read_data(plan, calls) ||
		list_reads_data(plan->targetlist, calls) || list_reads_data(plan->qual, calls))
		return true;
	if (IsA(plan, SubqueryScan))
		return plan_reads_data(((const SubqueryScan *) plan)->subplan, calls);
	if (IsA(plan, Append))
	{
		foreach(cell, ((const Append *) plan)->appendplans)
		{
			if (plan_reads_data(lfirst(cell), calls))
				return true;
		}
	}
	return plan_reads_data(outerPlan(plan), calls) || plan_reads_data(innerPlan(plan), calls);
}

/* The same of the expressions that a kind of nodes has for itself. */
static bool
own_expressions_read_data(const Plan *plan, Calls *calls)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			return reads_data_walker(((const Result *) plan)->resconstantqual, calls);
		case T_FunctionScan:
			return list_reads_data(((const FunctionScan *) plan)->functions, calls);
		case T_Limit:
			return reads_data_walker(((const Limit *) plan)->limitOffset, calls) ||
				reads_data_walker(((const Limit *) plan)->limitCount, calls);
		case T_NestLoop:
			return list_reads_data(((const Join *) plan)->joinqual, calls);
		case T_MergeJoin:
			return list_reads_data(((const Join *) plan)->joinqual, calls) ||
				list_reads_data(((const MergeJoin *) plan)->mergeclauses, calls);
		case T_HashJoin:
			return list_reads_data(((const Join *) plan)->joinqual, calls) ||
				list_reads_data(((const HashJoin *) plan)->hashclauses, calls);
		case T_ValuesScan:
			return list_reads_data(((const ValuesScan *) plan)->values_lists, calls);
		case T_WindowAgg:
			return reads_data_walker(((const WindowAgg *) plan)->startOffset, calls) ||
				reads_data_walker(((const WindowAgg *) plan)->endOffset, calls) ||
				list_reads_data(((const WindowAgg *) plan)->runCondition, calls);
			/* what these sort and group by are operators of the index kind */
		case T_Agg:
		case T_Append:
		case T_CteScan:
		case T_Group:
		case T_Hash:
		case T_IncrementalSort:
		case T_Material:
		case T_ProjectSet:
		case T_Sort:
		case T_SubqueryScan:
		case T_Unique:
			return false;
		default:
			return true;
	}
}

static bool
list_reads_data(const List *list, Calls *calls)
{
	return reads_data_walker(unconstify(Node *, (const Node *) list), calls);
}

static bool
reads_data_walker(Node *node, void *calls)
{
	if (node == NULL)
		return false;
	if (tells_time(node))
		((Calls *) calls)->incidental = true;
	/* a domain's constraints may call anything */
	if (IsA(node, NextValueExpr) || IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, function_reads_data, calls))
		return true;
	return expression_tree_walker(node, reads_data_walker, calls);
}

/* CURRENT_TIMESTAMP and the like: now(), in another form */
static bool
tells_time(const Node *node)
{
	return IsA(node, SQLValueFunction) &&
		((const SQLValueFunction *) node)->op <= SVFOP_LOCALTIMESTAMP_N;
}

static bool
function_reads_data(Oid function, void *calls)
{
	Calls	   *seen = calls;

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
	if (function >= FirstNormalObjectId && get_func_prokind(function) == PROKIND_AGGREGATE)
		return aggregate_reads_data(function, seen);
	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	if (extension_owns_schema(get_func_namespace(function)))
	{
		seen->own = true;
		return own_function_reads_data(function);
	}
	seen->incidental = true;
	return !is_incidental(function);
}

/* An aggregate is said to be immutable, whatever it consists of. */
static bool
aggregate_reads_data(Oid function, Calls *calls)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate aggregate;
	Oid			parts[5];
	bool		reads = false;

	if (!HeapTupleIsValid(tuple))
		return true;
	aggregate = (Form_pg_aggregate) GETSTRUCT(tuple);
	parts[0] = aggregate->aggtransfn;
	parts[1] = aggregate->aggfinalfn;
	parts[2] = aggregate->aggmtransfn;
	parts[3] = aggregate->aggminvtransfn;
	parts[4] = aggregate->aggmfinalfn;
	ReleaseSysCache(tuple);

	for (int i = 0; i < lengthof(parts) && !reads; i++)
		reads = OidIsValid(parts[i]) && function_reads_data(parts[i], calls);
	return reads;
}

/* What queries of our views come with: the time, names, and how these are written. */
static bool
is_incidental(Oid function)
{
	switch (function)
	{
		case F_CLOCK_TIMESTAMP:
		case F_CURRENT_DATABASE:
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
		case F_NOW:
		case F_REGCLASSOUT:
		case F_TIMESTAMPTZ_MI_INTERVAL:
		case F_TIMESTAMPTZ_OUT:
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TO_CHAR_TIMESTAMPTZ_TEXT:
			return true;
		default:
			return false;
	}
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
