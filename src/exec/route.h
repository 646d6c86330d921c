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
	const char *reason;			/* static */
	Requirement requirement;	/* of the session's level, now */
} Route;

extern void route_decide(Route *route);

#endif							/* CONSISTENCY_ROUTE_H */
