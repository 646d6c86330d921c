/*-------------------------------------------------------------------------
 *
 * forward_plan.h
 *	  The plan of a statement that runs at the primary: nothing but a scan of
 *	  what comes from there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_PLAN_H
#define CONSISTENCY_FORWARD_PLAN_H

#include "nodes/extensible.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

/* the custom scan's name, as EXPLAIN shows it */
#define FORWARD_PLAN_SCAN_NAME "ConsistencyForwardScan"

extern bool forward_plan_is(const PlannedStmt *plan);
extern PlannedStmt *forward_plan_of_query(Query *query, int cursor_options);
extern PlannedStmt *forward_plan_of_plan(const PlannedStmt *plan, bool scrolls);
extern bool forward_plan_writes(const CustomScan *scan);
extern bool forward_plan_scrolls(const CustomScan *scan);
extern bool forward_plan_is_advisory(const CustomScan *scan);
extern const PlannedStmt *forward_plan_original(const CustomScan *scan, const PlannedStmt *plan);

#endif							/* CONSISTENCY_FORWARD_PLAN_H */
