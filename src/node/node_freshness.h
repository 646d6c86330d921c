/*-------------------------------------------------------------------------
 *
 * node_freshness.h
 *	  Which position bounds how stale a read is.
 *
 * All times are node_clock_us(), of this server alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_FRESHNESS_H
#define CONSISTENCY_NODE_FRESHNESS_H

#include "core/position.h"

extern bool node_freshness_position(int64 since_us, Position *position);
extern void node_freshness_request(int64 since_us);
extern void node_freshness_follow_timeline(void);
extern bool node_freshness_wait(int64 since_us, long timeout_ms);

/* for the monitor */
extern void node_freshness_sample_self(void);
extern int64 node_freshness_wanted(bool *waited_for);

#endif							/* CONSISTENCY_NODE_FRESHNESS_H */
