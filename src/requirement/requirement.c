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
	requirement.position = position_max(context->elsewhere,
										position_max(context->written, context->observed));
	if (!context->elsewhere_holds_here)
		requirement.position_here = context->elsewhere;
	return requirement;
}

/* The requirement in words, for people; writes into buf and returns it. */
const char *
requirement_text(const Requirement *requirement, char *buf, Size size)
{
	char		position[POSITION_TEXT_SIZE];

	if (requirement->leader)
		snprintf(buf, size, "the primary");
	else if (position_is_set(requirement->position))
		snprintf(buf, size, "position >= %s", position_text(requirement->position, position));
	else
		snprintf(buf, size, "none");
	return buf;
}
