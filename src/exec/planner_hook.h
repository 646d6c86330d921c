/*-------------------------------------------------------------------------
 *
 * planner_hook.h
 *	  Wraps the plans of queries that may leave.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_PLANNER_HOOK_H
#define CONSISTENCY_PLANNER_HOOK_H

extern void planner_hook_init(void);

#endif							/* CONSISTENCY_PLANNER_HOOK_H */
