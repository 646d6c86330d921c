/*-------------------------------------------------------------------------
 *
 * route.h
 *	  Here or there?  The decision at the start of an execution.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROUTE_H
#define CONSISTENCY_ROUTE_H

#include "datatype/timestamp.h"

#include "node/node_state.h"
#include "remote/remote_settings.h"
#include "requirement/requirement.h"
#include "stats/last_read.h"

typedef struct Route
{
	bool		remote;
	bool		unserved;		/* it stays because no replica could serve it */
	ReadFallback fallback;		/* and why none could */
	NodeInfo	node;			/* where to; valid if remote */
	char	   *node_name;		/* its server object's name; NULL unless
								 * remote */
	const char *reason;			/* static, or of the scan's lifetime */
	Declaration declaration;	/* what the statement is promised */
	Requirement requirement;	/* what that demands, now */
	RemotePromise promise;		/* what the node is told of it */
} Route;

extern void route_decide(Route *route, const Declaration *declaration);
extern void route_prepare(Route *route, const Declaration *declaration);
extern void route_to_primary(Route *route);
extern bool route_await_primary(Route *route, TimestampTz deadline);

#endif							/* CONSISTENCY_ROUTE_H */
