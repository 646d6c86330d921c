/*-------------------------------------------------------------------------
 *
 * node_lag.h
 *	  Which position the primary had when, and what follows from that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_LAG_H
#define CONSISTENCY_NODE_LAG_H

#include "core/position.h"

#define NODE_LAG_SAMPLES 256

/*
 * The primary was asked at time_us (node_clock_us()) and answered position:
 * what was committed before time_us ends no later than there.
 */
typedef struct NodeLagSample
{
	int64		time_us;
	Position	position;
} NodeLagSample;

/* Samples, oldest first; both fields grow. */
typedef struct NodeLagHistory
{
	TimeLineID	timeline;		/* the highest that any node is known to be
								 * on: a primary on another one was replaced */
	int			nsamples;
	NodeLagSample samples[NODE_LAG_SAMPLES];
} NodeLagHistory;

extern void node_lag_set_timeline(NodeLagHistory *history, TimeLineID timeline);
extern bool node_lag_add(NodeLagHistory *history, int64 time_us, Position position);
extern int64 node_lag_of(const NodeLagHistory *history, Position position, int64 now_us);
extern int64 node_lag_newest(const NodeLagHistory *history);
extern bool node_lag_position_since(const NodeLagHistory *history, int64 since_us,
									Position *position);

#endif							/* CONSISTENCY_NODE_LAG_H */
