/*-------------------------------------------------------------------------
 *
 * requirement.c
 *	  What a promise demands of the node that runs a read.
 *
 * A token that was handed in counts for "session" already, not only for the
 * levels above it: who sets consistency.token goes on with a session that
 * began on another connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "requirement/requirement.h"

/* What a read that is promised this demands in this context. */
Requirement
requirement_of(const Declaration *declaration, const SessionContext *context)
{
	Requirement requirement = {
		.leader = declaration->leader,
		.any_health = declaration->level == LEVEL_WEAK,
		.prefix = declaration->prefix,
		.max_staleness_ms = declaration->max_staleness_ms,
		.max_lag = declaration->max_lag,
	};

	if (declaration->own_context)
	{
		requirement.position = session_context_position(context);
		if (!context->elsewhere_holds_here)
			requirement.position_here = context->elsewhere;
		requirement.older_here = context->older;
	}
	return requirement;
}

/*
 * Must the server do something before it may serve the read?  A primary never
 * lags, and a replica's snapshots are prefixes of the log anyhow.
 */
bool
requirement_is_pending(const Requirement *requirement, bool at_replica)
{
	return position_is_set(requirement->position_here) ||
		position_is_set(requirement->older_here) || requirement->leader ||
		(at_replica ? requirement_has_bounds(requirement) :
		 requirement->prefix);
}

/* Does what meets a requirement meet another one as well, positions aside? */
bool
requirement_covers(const Requirement *requirement, const Requirement *other)
{
	return requirement->leader >= other->leader && requirement->prefix >= other->prefix &&
		(other->max_staleness_ms < 0 ||
		 (requirement->max_staleness_ms >= 0 &&
		  requirement->max_staleness_ms <= other->max_staleness_ms)) &&
		(other->max_lag < 0 ||
		 (requirement->max_lag >= 0 && requirement->max_lag <= other->max_lag));
}

/* Write what is demanded into buf, return buf. */
char *
requirement_text(const Requirement *requirement, char *buf)
{
	char		position[POSITION_TEXT_SIZE];
	int			n = 0;

	buf[0] = '\0';
	if (requirement->leader)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", the primary");
	else if (position_is_set(requirement->position))
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", position >= %s",
					  position_text(requirement->position, position));
	if (requirement->max_staleness_ms >= 0)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", staleness <= %d ms",
					  requirement->max_staleness_ms);
	if (requirement->max_lag >= 0)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", lag <= %d bytes",
					  requirement->max_lag);
	if (n == 0)
		return strcpy(buf, "none");
	memmove(buf, buf + 2, n - 1);	/* without the first comma */
	return buf;
}
