/*-------------------------------------------------------------------------
 *
 * replay_pace.c
 *	  Will replay reach a position in time, at its pace?
 *
 * A wrong "no" sends a read to the primary for nothing, and many of them
 * overrun it; a wrong "yes" costs one read its timeout.  So what is seen of
 * replay is taken for the best that it may mean:
 *
 * - Replay comes in bursts.  Of the speed since the last look and since the first
 *	 one the higher counts, and it may turn out to be twice that.
 * - One record may take long, and a conflicting query may hold it up for a
 *	 moment.  That replay doesn't move says nothing before some time has passed.
 * - What was committed asynchronously is sent up to three rounds of the primary's
 *	 WAL writer later, and networks have a latency.  So it takes longer to believe
 *	 that nothing arrives.
 * - A replay that waits for recovery_min_apply_delay goes by the clock, and its
 *	 speed says nothing at all.
 *
 * Pure: no clock, no shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "exec/replay_pace.h"

/* how long replay may stand still with all that it needs, microseconds */
#define STILL_MAX_US INT64CONST(250000)

/* the same while what is wanted has yet to be received */
#define SILENCE_MAX_US INT64CONST(1000000)

/* replay may become faster, by this factor */
#define SPEED_MARGIN 2.0

static bool stands_still(const ReplayPace *pace, int64 at_least_us);
static double speed_since(const ReplayLook *from, const ReplayLook *to);

/* The first look. */
void
replay_pace_begin(ReplayPace *pace, ReplayLook look)
{
	pace->first = pace->before = pace->last = look;
	pace->moved = look.time;
}

/* One more look. */
void
replay_pace_add(ReplayPace *pace, ReplayLook look)
{
	pace->before = pace->last;
	pace->last = look;
	if (look.replayed != pace->before.replayed)
		pace->moved = look.time;
}

/*
 * replay_pace_judge
 *		What do the looks, and what is known besides, say about reaching a
 *		position by the deadline?
 */
ReplayVerdict
replay_pace_judge(const ReplayPace *pace, const ReplayObstacles *obstacles,
				  XLogRecPtr wanted, TimestampTz deadline)
{
	XLogRecPtr	replayed = pace->last.replayed;
	double		left_us = (double) (deadline - pace->last.time);
	double		speed;

	if (obstacles->paused)
		return REPLAY_PAUSED;
	if (obstacles->delaying)
		return obstacles->too_young ? REPLAY_DELAYED : REPLAY_MAY_ARRIVE;

	if (replayed == pace->before.replayed)
	{
		bool		here = wanted <= Max(replayed, pace->last.received);

		if (!stands_still(pace, here || !obstacles->receiving ? STILL_MAX_US : SILENCE_MAX_US))
			return REPLAY_MAY_ARRIVE;
		return here ? REPLAY_STANDS_STILL : REPLAY_LACKS_WAL;
	}

	/* On an older timeline it may be beyond, and has to change over. */
	if (wanted <= replayed)
		return REPLAY_MAY_ARRIVE;
	speed = Max(speed_since(&pace->before, &pace->last), speed_since(&pace->first, &pace->last));
	return (double) (wanted - replayed) > SPEED_MARGIN * speed * left_us ?
		REPLAY_TOO_SLOW : REPLAY_MAY_ARRIVE;
}

static bool
stands_still(const ReplayPace *pace, int64 at_least_us)
{
	return pace->last.time - pace->moved >= at_least_us;
}

/* Bytes per microsecond; 0 without any time between the looks. */
static double
speed_since(const ReplayLook *from, const ReplayLook *to)
{
	if (to->time <= from->time || to->replayed <= from->replayed)
		return 0.0;
	return (double) (to->replayed - from->replayed) / (double) (to->time - from->time);
}

/* Does one look suffice for this verdict? */
bool
replay_pace_is_certain(ReplayVerdict verdict)
{
	return verdict == REPLAY_PAUSED || verdict == REPLAY_DELAYED;
}

/* A verdict in words, for consistency.last_read(). */
const char *
replay_pace_text(ReplayVerdict verdict)
{
	switch (verdict)
	{
		case REPLAY_PAUSED:
			return "replay is paused at this replica";
		case REPLAY_DELAYED:
			return "replay is delayed at this replica for longer than the read may wait";
		case REPLAY_LACKS_WAL:
			return "no WAL arrives at this replica";
		case REPLAY_STANDS_STILL:
			return "replay stands still at this replica";
		case REPLAY_TOO_SLOW:
			return "replay is too slow at this replica";
		case REPLAY_MAY_ARRIVE:
			break;
	}
	return "this replica could not serve it in time";
}
