/*-------------------------------------------------------------------------
 *
 * requirement.c
 *	  What a level demands of the node that runs a read.
 *
 * A token that was handed in counts for "session" already, not only for the
 * levels above it: who sets consistency.token goes on with a session that
 * began on another connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "requirement/requirement.h"

/* What a read at this level and in this context demands. */
Requirement
requirement_of(ConsistencyLevel level, const SessionContext *context)
{
	Requirement requirement = {0};

	if (level <= LEVEL_EVENTUAL)
	{
		requirement.any_health = (level == LEVEL_WEAK);
		return requirement;
	}

	requirement.leader = (level == LEVEL_LINEARIZABLE);
	requirement.position = session_context_position(context);
	if (!context->elsewhere_holds_here)
		requirement.position_here = context->elsewhere;
	return requirement;
}
