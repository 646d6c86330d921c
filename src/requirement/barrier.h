/*-------------------------------------------------------------------------
 *
 * barrier.h
 *	  The visibility barrier of a primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_BARRIER_H
#define CONSISTENCY_BARRIER_H

#include "utils/snapshot.h"
#include "utils/timestamp.h"

extern bool barrier_wait(TimestampTz deadline);
extern bool barrier_is_behind(Snapshot snapshot, TimestampTz deadline);

#endif							/* CONSISTENCY_BARRIER_H */
