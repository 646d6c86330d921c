/*-------------------------------------------------------------------------
 *
 * requirement.h
 *	  What a level demands of the node that runs a read.
 *
 * Pure: level and context in, requirement out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REQUIREMENT_H
#define CONSISTENCY_REQUIREMENT_H

#include "core/position.h"
#include "session/level.h"
#include "session/session.h"

typedef struct Requirement
{
	bool		leader;			/* only the primary may serve it */
	bool		any_health;		/* a node whose health is unknown will do */
	Position	position;		/* what other nodes must show; none: anything
								 * goes */
	Position	position_here;	/* what this server must show and perhaps
								 * doesn't; none: nothing. At a primary: its
								 * snapshot must be behind the barrier. */
} Requirement;

extern Requirement requirement_of(ConsistencyLevel level, const SessionContext *context);

#endif							/* CONSISTENCY_REQUIREMENT_H */
