/*-------------------------------------------------------------------------
 *
 * replay_pace.h
 *	  Will replay reach a position in time, at its pace?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REPLAY_PACE_H
#define CONSISTENCY_REPLAY_PACE_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

typedef enum ReplayVerdict
{
	REPLAY_MAY_ARRIVE,			/* nothing speaks against it */
	REPLAY_PAUSED,
	REPLAY_DELAYED,				/* recovery_min_apply_delay ends too late */
	REPLAY_LACKS_WAL,			/* what is wanted isn't here, nothing arrives */
	REPLAY_STANDS_STILL,		/* what is wanted is here, nothing moves */
	REPLAY_TOO_SLOW
} ReplayVerdict;

/* Where replay was at some time */
typedef struct ReplayLook
{
	TimestampTz time;
	XLogRecPtr	replayed;
	XLogRecPtr	received;		/* the last that the walreceiver has flushed;
								 * may be lower than what was replayed */
} ReplayLook;

/* What the looks of one wait have shown */
typedef struct ReplayPace
{
	ReplayLook	first;
	ReplayLook	before;			/* the last but one */
	ReplayLook	last;
	TimestampTz moved;			/* the look that found replay further on than
								 * the one before; or the first */
} ReplayPace;

/* What holds replay up, other than its work */
typedef struct ReplayObstacles
{
	bool		paused;
	bool		delaying;		/* it was waiting for recovery_min_apply_delay
								 * since the look before the last */
	bool		too_young;		/* and what is wanted was written so late that
								 * the delay of it outlasts the deadline */
	bool		receiving;		/* a walreceiver is at work */
} ReplayObstacles;

extern void replay_pace_begin(ReplayPace *pace, ReplayLook look);
extern void replay_pace_add(ReplayPace *pace, ReplayLook look);
extern ReplayVerdict replay_pace_judge(const ReplayPace *pace, const ReplayObstacles *obstacles,
									   XLogRecPtr wanted, TimestampTz deadline);
extern bool replay_pace_is_certain(ReplayVerdict verdict);
extern const char *replay_pace_text(ReplayVerdict verdict);

#endif							/* CONSISTENCY_REPLAY_PACE_H */
