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
	REPLAY_LOST,				/* the position isn't in the history of the
								 * timeline that is replayed now */
	REPLAY_BLOCKED_BY_US,		/* replay waits for a lock or snapshot of ours */
	REPLAY_ENDED				/* the server was promoted: it is a primary
								 * now */
} ReplayWaitResult;

extern ReplayWaitResult replay_wait(Position position, TimestampTz deadline);

#endif							/* CONSISTENCY_REPLAY_WAIT_H */
