/*-------------------------------------------------------------------------
 *
 * planner_hook.c
 *	  Wraps the plans of queries that may leave.
 *
 * Plan time decides only whether a query could leave at all: plans are cached.
 * See route.c for the rest.  At a replica, a query that needs the primary gets a
 * plan that runs it there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/executor.h"
#include "optimizer/planner.h"

#include "core/guc.h"
#include "exec/eligible.h"
#include "exec/forward.h"
#include "exec/forward_plan.h"
#include "exec/nesting.h"
#include "exec/planner_hook.h"
#include "exec/routed_plan.h"
#include "exec/routed_scan.h"
#include "node/node_state.h"

static planner_hook_type prev_planner = NULL;

static PlannedStmt *consistency_planner(Query *parse, const char *query_string,
										int cursorOptions, ParamListInfo boundParams);
static PlannedStmt *plan_nested(Query *parse, const char *query_string, int cursorOptions,
								ParamListInfo boundParams);
static bool may_leave(Query *parse, const char *text, int cursorOptions);
static bool may_scroll(const PlannedStmt *plan, int cursorOptions);

/* Install the hook. */
void
planner_hook_init(void)
{
	prev_planner = planner_hook;
	planner_hook = consistency_planner;
}

static PlannedStmt *
consistency_planner(Query *parse, const char *query_string, int cursorOptions,
					ParamListInfo boundParams)
{
	PlannedStmt *plan;
	EligibleInfo info;
	RemoteSql	sql;
	int			location = parse->stmt_location;
	int			length = parse->stmt_len;
	bool		candidate;

	if (forward_query(parse, query_string))
		return forward_plan_of_query(parse, cursorOptions);

	/* The planner scribbles on the query, so look at it first. */
	candidate = may_leave(parse, query_string, cursorOptions) && eligible_query(parse, &info);

	plan = plan_nested(parse, query_string, cursorOptions, boundParams);

	if (candidate &&
		(guc_routing == ROUTING_ALWAYS ||
		 plan->planTree->total_cost >= guc_route_min_cost) &&
		eligible_plan(plan) &&
		!may_scroll(plan, cursorOptions) &&
		remote_sql_build(query_string, location, length, &info, plan->planTree, &sql))
		plan = routed_scan_plan(plan, &sql);
	return plan;
}

/* Plan; a function that is evaluated meanwhile is not a client's statement. */
static PlannedStmt *
plan_nested(Query *parse, const char *query_string, int cursorOptions,
			ParamListInfo boundParams)
{
	PlannedStmt *plan;
	bool		planning = nesting_planning;

	nesting_depth++;
	nesting_planning = true;
	PG_TRY();
	{
		if (prev_planner)
			plan = prev_planner(parse, query_string, cursorOptions, boundParams);
		else
			plan = standard_planner(parse, query_string, cursorOptions, boundParams);
	}
	PG_FINALLY();
	{
		nesting_depth--;
		nesting_planning = planning;
	}
	PG_END_TRY();
	return plan;
}

/* What rules most queries out, cheapest first. */
static bool
may_leave(Query *parse, const char *text, int cursorOptions)
{
	return parse->commandType == CMD_SELECT && nesting_may_leave(false) &&
		guc_routing != ROUTING_OFF && (cursorOptions & CURSOR_OPT_SCROLL) == 0 &&
		!RecoveryInProgress() && node_state_routable() && nesting_is_clients(text);
}

/*
 * A cursor that is declared neither SCROLL nor NO SCROLL scrolls where its plan
 * can; ours couldn't.
 */
static bool
may_scroll(const PlannedStmt *plan, int cursorOptions)
{
	return nesting_utility == T_DeclareCursorStmt &&
		(cursorOptions & CURSOR_OPT_NO_SCROLL) == 0 &&
		ExecSupportsBackwardScan(plan->planTree);
}
