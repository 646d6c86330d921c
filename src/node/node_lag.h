/*-------------------------------------------------------------------------
 *
 * node_lag.h
 *	  How far behind the primary a replica is, in time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_LAG_H
#define CONSISTENCY_NODE_LAG_H

#include "core/position.h"

#define NODE_LAG_SAMPLES 128

typedef struct NodeLagSample
{
	int64		time_us;		/* node_clock_us() when the primary was asked */
	Position	position;		/* what it answered */
} NodeLagSample;

/* Samples, oldest first; both fields grow.  Private to the monitor. */
typedef struct NodeLagHistory
{
	int			nsamples;
	NodeLagSample samples[NODE_LAG_SAMPLES];
} NodeLagHistory;

extern void node_lag_add(NodeLagHistory *history, int64 time_us, Position position);
extern int64 node_lag_of(const NodeLagHistory *history, Position position, int64 now_us);

#endif							/* CONSISTENCY_NODE_LAG_H */
