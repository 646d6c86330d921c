/*-------------------------------------------------------------------------
 *
 * forward_utility.h
 *	  Utility statements of a replica's client that run at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_UTILITY_H
#define CONSISTENCY_FORWARD_UTILITY_H

#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"

extern bool forward_utility(const PlannedStmt *pstmt, const char *text, ParamListInfo params,
							DestReceiver *dest, QueryCompletion *qc);

#endif							/* CONSISTENCY_FORWARD_UTILITY_H */
