/*-------------------------------------------------------------------------
 *
 * forward_plan.c
 *	  The plan of a statement that runs at the primary: nothing but a scan of
 *	  what comes from there.
 *
 * It holds no text: that is taken from the execution (forward_text.c).  A
 * statement that writes isn't planned here at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"

#include "exec/forward_plan.h"
#include "exec/forward_scan.h"
#include "exec/routed_plan.h"
#include "exec/writes.h"

static CustomScan *make_scan(bool writes, bool scrolls, bool advisory, const PlannedStmt *original);

/* Does the statement run at the primary? */
bool
forward_plan_is(const PlannedStmt *plan)
{
	const Plan *top = plan->planTree;

	return top != NULL && IsA(top, CustomScan) &&
		((const CustomScan *) top)->methods == &forward_scan_methods;
}

/*
 * forward_plan_of_query
 *		The plan of a query that needs the primary.
 */
PlannedStmt *
forward_plan_of_query(Query *query, int cursor_options)
{
	PlannedStmt *plan = makeNode(PlannedStmt);
	CustomScan *scan = make_scan(true, (cursor_options & CURSOR_OPT_SCROLL) != 0,
								 writes_advisory_locks(query), NULL);
	bool		has_row_security;

	plan->commandType = query->commandType;
	plan->queryId = query->queryId;
	plan->hasReturning = query->returningList != NIL;
	plan->hasModifyingCTE = query->hasModifyingCTE;
	plan->canSetTag = query->canSetTag;
	plan->stmt_location = query->stmt_location;
	plan->stmt_len = query->stmt_len;
	extract_query_dependencies((Node *) query, &plan->relationOids, &plan->invalItems,
							   &has_row_security);
	plan->dependsOnRole = has_row_security;
	routed_plan_set_columns(plan, scan, query->commandType == CMD_SELECT ? query->targetList :
							query->returningList);

	/*
	 * The primary decides whether a cursor can go backwards, as it always
	 * does.
	 */
	if (query->rowMarks == NIL)
		scan->flags |= CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
	return plan;
}

/*
 * forward_plan_of_plan
 *		The same for a read that could run here, which was planned already.
 */
PlannedStmt *
forward_plan_of_plan(const PlannedStmt *plan, bool scrolls)
{
	PlannedStmt *forward = makeNode(PlannedStmt);
	CustomScan *scan = make_scan(false, scrolls, false, plan);
	const Plan *local = plan->planTree;

	/* The rest is about relations, which the primary opens. */
	forward->commandType = plan->commandType;
	forward->queryId = plan->queryId;
	forward->hasReturning = plan->hasReturning;
	forward->hasModifyingCTE = plan->hasModifyingCTE;
	forward->canSetTag = plan->canSetTag;
	forward->relationOids = plan->relationOids;
	forward->stmt_location = plan->stmt_location;
	forward->stmt_len = plan->stmt_len;
	scan->scan.plan.plan_rows = local->plan_rows;
	scan->scan.plan.plan_width = local->plan_width;
	routed_plan_set_columns(forward, scan, local->targetlist);
	return forward;
}

/* Does the statement need the primary since it writes, or may? */
bool
forward_plan_writes(const CustomScan *scan)
{
	return boolVal(linitial(scan->custom_private));
}

/* Is it a cursor's that must be able to go backwards? */
bool
forward_plan_scrolls(const CustomScan *scan)
{
	return boolVal(lsecond(scan->custom_private));
}

/* Has it to do with advisory locks? */
bool
forward_plan_is_advisory(const CustomScan *scan)
{
	return boolVal(lthird(scan->custom_private));
}

/* The plan that a plan took the place of, or itself. */
const PlannedStmt *
forward_plan_original(const CustomScan *scan, const PlannedStmt *plan)
{
	const PlannedStmt *original = lfourth(scan->custom_private);

	return original ? original : plan;
}

static CustomScan *
make_scan(bool writes, bool scrolls, bool advisory, const PlannedStmt *original)
{
	CustomScan *scan = makeNode(CustomScan);

	scan->methods = &forward_scan_methods;
	scan->custom_private = list_make4(makeBoolean(writes), makeBoolean(scrolls),
									  makeBoolean(advisory),
									  unconstify(PlannedStmt *, original));
	return scan;
}
