/*-------------------------------------------------------------------------
 *
 * forward.h
 *	  Plans a read anew that this replica can't serve, for the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_H
#define CONSISTENCY_FORWARD_H

#include "executor/execdesc.h"

extern PlannedStmt *forward_plan(const QueryDesc *queryDesc);

#endif							/* CONSISTENCY_FORWARD_H */
