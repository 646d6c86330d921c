/*-------------------------------------------------------------------------
 *
 * acknowledge.h
 *	  The client isn't told of a commit before enough nodes have it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ACKNOWLEDGE_H
#define CONSISTENCY_ACKNOWLEDGE_H

#include "access/xlogdefs.h"
#include "utils/timestamp.h"

/* How PostgreSQL's own wait for synchronous standbys ended, during the commit */
typedef enum StandbyWait
{
	STANDBY_WAIT_DONE,			/* there was none, or they all have it */
	STANDBY_WAIT_TIMED_OUT,		/* we ended it */
	STANDBY_WAIT_CANCELED		/* somebody else did */
} StandbyWait;

extern void acknowledge_install(void);
extern void acknowledge_later(XLogRecPtr lsn, int quorum, TimestampTz deadline,
							  StandbyWait standby_wait);
extern void acknowledge_nothing(void);

#endif							/* CONSISTENCY_ACKNOWLEDGE_H */
