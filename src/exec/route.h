/*-------------------------------------------------------------------------
 *
 * route.h
 *	  Here or there?  The decision at the start of an execution.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROUTE_H
#define CONSISTENCY_ROUTE_H

#include "node/node_state.h"
#include "requirement/requirement.h"

typedef struct Route
{
	bool		remote;
	NodeInfo	node;			/* where to; valid if remote */
	char	   *node_name;		/* its server object's name; NULL unless
								 * remote */
	int			wait_timeout_ms;	/* how long the node may wait for the
									 * position */
	const char *reason;			/* static, or of the scan's lifetime */
	Requirement requirement;	/* of the session's level, now */
} Route;

extern void route_decide(Route *route);

#endif							/* CONSISTENCY_ROUTE_H */
