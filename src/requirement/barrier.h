/*-------------------------------------------------------------------------
 *
 * barrier.h
 *	  The visibility barrier of a primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_BARRIER_H
#define CONSISTENCY_BARRIER_H

#include "access/xlogdefs.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

extern bool barrier_wait(XLogRecPtr upto, TimestampTz deadline);
extern Snapshot barrier_snapshot(XLogRecPtr upto, TimestampTz deadline);
extern bool barrier_fix_snapshot(XLogRecPtr upto, TimestampTz deadline);
extern bool barrier_is_behind(Snapshot snapshot, XLogRecPtr upto, bool prefix,
							  TimestampTz deadline);

#endif							/* CONSISTENCY_BARRIER_H */
