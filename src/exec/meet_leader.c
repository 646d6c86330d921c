/*-------------------------------------------------------------------------
 *
 * meet_leader.c
 *	  What only a primary has to make sure of: that it still is one, and that its
 *	  history is the session's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "core/guc.h"
#include "core/violations.h"
#include "core/weaken.h"
#include "exec/meet_leader.h"
#include "node/node_state.h"
#include "requirement/fence.h"
#include "requirement/timeline.h"

static void warn_unfenced(void);

/* Make sure that this server is the primary, as far as that can be had. */
MeetFailure
meet_leader(const Requirement *requirement, TimestampTz deadline)
{
	if (meet_is_deposed(requirement))
		return MEET_DEPOSED;
	if (!requirement->leader)
		return MEET_OK;

	if (fence_is_possible())
		return fence_wait(deadline) ? MEET_OK : MEET_NOT_CONFIRMED;
	if (guc_require_leader_fence)
		return MEET_NO_FENCE;
	warn_unfenced();
	return MEET_OK;
}

/*
 * Has this primary heard of one that replaced it?  That matters to a read for
 * which the primary is fresh by nature.
 */
bool
meet_is_deposed(const Requirement *requirement)
{
	Position	newer;

	return (requirement->leader || requirement_has_bounds(requirement)) &&
		!RecoveryInProgress() && node_state_deposed(&newer) && !weakened(MECHANISM_DEPOSED);
}

/* The promise holds only while no failover happens: say so once a session. */
static void
warn_unfenced(void)
{
	static bool warned = false;

	if (warned)
	{
		violations_count(VIOLATION_UNFENCED_READ);
		return;
	}
	warned = true;
	violations_record(VIOLATION_UNFENCED_READ, "first one of the session: no synchronous standby");
	ereport(WARNING,
			(errmsg("linearizable reads hold only while no failover happens"),
			 errdetail("There is no synchronous standby to confirm that this server is still the primary."),
			 errhint("Set synchronous_standby_names; or turn consistency.require_leader_fence on to have such reads fail.")));
}

/* Raise an error if the position isn't in the history of this primary. */
void
meet_check_timeline(Position position)
{
	TimeLineID	tli = GetWALInsertionTimeLine();
	char		buf[POSITION_TEXT_SIZE];

	if (!position_is_set(position))
		return;
	switch (timeline_judge(position, tli))
	{
		case TIMELINE_SAME:
		case TIMELINE_PAST:
			break;
		case TIMELINE_LOST:
			meet_error_lost(position, tli);
		case TIMELINE_AHEAD:
			violations_record(VIOLATION_REGRESSION, "position %s is of a newer timeline than this primary's, %u",
							  position_text(position, buf), tli);
			timeline_error_ahead(position, tli);
	}
}

/* What the session has seen or written isn't there any more: count it, and say so. */
void
meet_error_lost(Position position, TimeLineID tli)
{
	char		buf[POSITION_TEXT_SIZE];

	violations_record(VIOLATION_LOST_POSITION, "position %s isn't in the history of timeline %u",
					  position_text(position, buf), tli);
	timeline_error_lost(position, tli);
}
