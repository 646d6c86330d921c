/*-------------------------------------------------------------------------
 *
 * replay_wait.h
 *	  Waiting until this replica has replayed up to a position.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REPLAY_WAIT_H
#define CONSISTENCY_REPLAY_WAIT_H

#include "utils/timestamp.h"

#include "core/position.h"

typedef enum ReplayWaitResult
{
	REPLAY_REACHED,				/* snapshots taken from now on show the
								 * position */
	REPLAY_TIMED_OUT,
	REPLAY_GIVEN_UP,			/* it won't be reached in time, and the
								 * primary is up */
	REPLAY_LOST,				/* the position isn't in the history of the
								 * timeline that is replayed now */
	REPLAY_BLOCKED_BY_US,		/* replay waits for a lock or snapshot of ours */
	REPLAY_CANCELED,			/* where a cancel can't be an error any more */
	REPLAY_ENDED				/* the server was promoted: it is a primary
								 * now */
} ReplayWaitResult;

/* What a wait that may be given up is for */
typedef struct ReplayGoal
{
	Position	position;		/* what has to be reached by the deadline */
	TimestampTz began;			/* tells one wait from another */
	TimestampTz deadline;		/* of the read; a call may end before */
} ReplayGoal;

extern ReplayGoal replay_goal(Position position, TimestampTz deadline);
extern ReplayWaitResult replay_wait(Position position, TimestampTz until, const ReplayGoal *goal);
extern const char *replay_wait_reason(void);

#endif							/* CONSISTENCY_REPLAY_WAIT_H */
