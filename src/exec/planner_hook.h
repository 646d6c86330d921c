/*-------------------------------------------------------------------------
 *
 * planner_hook.h
 *	  Wraps the plans of queries that may leave.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_PLANNER_HOOK_H
#define CONSISTENCY_PLANNER_HOOK_H

#include "nodes/params.h"
#include "nodes/plannodes.h"

extern void planner_hook_init(void);
extern PlannedStmt *planner_hook_plan_for_primary(Query *query, const char *text,
												  int cursor_options);

#endif							/* CONSISTENCY_PLANNER_HOOK_H */
