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
		.read_quorum = declaration->read_quorum,
	};

	if (declaration->own_context)
	{
		requirement.position = session_context_position(context);
		if (!context->elsewhere_holds_here)
			requirement.position_here = context->elsewhere;
		requirement.older_here = context->older;
	}
	requirement_add_quorum(&requirement);
	return requirement;
}

/* The nodes were asked, if they were to be: their answer is what must be shown. */
void
requirement_add_quorum(Requirement *requirement)
{
	if (requirement->read_quorum.gathered > 0)
		requirement->position = position_max(requirement->position,
											 requirement->read_quorum.position);
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
		(read_quorum_is_asked(&requirement->read_quorum) && !requirement->read_quorum.holds_here) ||
		(at_replica ? requirement_has_bounds(requirement) :
		 requirement->prefix);
}

/* Does what meets a requirement meet another one as well, positions aside? */
bool
requirement_covers(const Requirement *requirement, const Requirement *other)
{
	return requirement->leader >= other->leader && requirement->prefix >= other->prefix &&
		read_quorum_covers(&requirement->read_quorum, &other->read_quorum) &&
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
	const ReadQuorum *quorum = &requirement->read_quorum;
	char		position[POSITION_TEXT_SIZE];
	int			n = 0;

	buf[0] = '\0';
	if (requirement->leader)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", the primary");
	else if (position_is_set(requirement->position) &&
			 !(quorum->gathered > 0 && position_equal(requirement->position, quorum->position)))
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", position >= %s",
					  position_text(requirement->position, position));
	if (requirement->max_staleness_ms >= 0)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", staleness <= %d ms",
					  requirement->max_staleness_ms);
	if (requirement->max_lag >= 0)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", lag <= %d bytes",
					  requirement->max_lag);
	if (quorum->gathered > 0)
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", quorum of %d: position >= %s",
					  quorum->gathered, position_text(quorum->position, position));
	else if (read_quorum_is_asked(quorum))
		n += snprintf(buf + n, REQUIREMENT_TEXT_SIZE - n, ", read quorum %s",
					  read_quorum_text(quorum, 0));
	if (n == 0)
		return strcpy(buf, "none");
	memmove(buf, buf + 2, n - 1);	/* without the first comma */
	return buf;
}
