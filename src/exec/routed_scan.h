/*-------------------------------------------------------------------------
 *
 * routed_scan.h
 *	  Runs a query that may leave: at another node, or here after all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROUTED_SCAN_H
#define CONSISTENCY_ROUTED_SCAN_H

#include "nodes/plannodes.h"

#include "exec/remote_sql.h"

extern void routed_scan_init(void);

extern PlannedStmt *routed_scan_plan(PlannedStmt *local, const RemoteSql *sql);

#endif							/* CONSISTENCY_ROUTED_SCAN_H */
