/*-------------------------------------------------------------------------
 *
 * routed_plan.h
 *	  The plan of a query that may leave: a custom scan around the local plan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROUTED_PLAN_H
#define CONSISTENCY_ROUTED_PLAN_H

#include "nodes/extensible.h"
#include "nodes/plannodes.h"

#include "exec/remote_sql.h"

/* What CustomScan.custom_private holds, in this order */
enum RoutedPlanPrivate
{
	ROUTED_PLAN_LOCAL,			/* PlannedStmt: the local plan, whole */
	ROUTED_PLAN_SQL,			/* String: text for the other node */
	ROUTED_PLAN_PARAM_TYPES,	/* OID list, as in RemoteSql */
	ROUTED_PLAN_LOCAL_EXPRS		/* list, as in RemoteSql */
};

/* the custom scan's name, as EXPLAIN shows it */
#define ROUTED_PLAN_SCAN_NAME "ConsistencyRoutedScan"

extern bool routed_plan_is_routed(const PlannedStmt *plan);
extern PlannedStmt *routed_plan_make(PlannedStmt *local, const RemoteSql *sql,
									 const CustomScanMethods *methods);
extern void routed_plan_set_columns(PlannedStmt *plan, CustomScan *scan, List *targetlist);

#endif							/* CONSISTENCY_ROUTED_PLAN_H */
