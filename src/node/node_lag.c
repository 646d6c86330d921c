/*-------------------------------------------------------------------------
 *
 * node_lag.c
 *	  How far behind the primary a replica is, in time.
 *
 * The monitor remembers which position the primary had when.  A replica that
 * has reached a sample's position misses nothing that is older than the
 * sample.  Only the monitor's clock counts, and an idle primary makes no lag.
 *
 * The history is bounded: when it is full, every second sample of the older
 * half is dropped.  So it reaches back as far as the primary was heard, and
 * is the coarser the older: a lag comes out too large by a part of itself.
 *
 * Pure: no clock, no shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "node/node_lag.h"

static void thin_out(NodeLagHistory *history);

/*
 * node_lag_add
 *		At time_us the primary had this position.
 *
 * A position behind the newest one comes from a server that doesn't know yet
 * that it was replaced; it doesn't count.
 */
void
node_lag_add(NodeLagHistory *history, int64 time_us, Position position)
{
	if (history->nsamples > 0)
	{
		NodeLagSample *newest = &history->samples[history->nsamples - 1];

		if (position_before(position, newest->position))
			return;
		if (position_equal(position, newest->position))
		{
			newest->time_us = time_us;
			return;
		}
	}
	if (history->nsamples == NODE_LAG_SAMPLES)
		thin_out(history);
	history->samples[history->nsamples++] = (NodeLagSample)
	{
		time_us, position
	};
}

static void
thin_out(NodeLagHistory *history)
{
	int			n = 0;

	for (int i = 0; i < history->nsamples; i++)
	{
		if (i >= NODE_LAG_SAMPLES / 2 || i % 2 == 0)
			history->samples[n++] = history->samples[i];
	}
	history->nsamples = n;
}

/*
 * node_lag_of
 *		Age of what a replica at this position misses, in microseconds: 0 if it
 *		misses nothing that we know of, -1 if we can't tell.
 */
int64
node_lag_of(const NodeLagHistory *history, Position position, int64 now_us)
{
	for (int i = history->nsamples - 1; i >= 0; i--)
	{
		if (position_before(position, history->samples[i].position))
			continue;
		if (i == history->nsamples - 1)
			return 0;
		return Max(now_us - history->samples[i].time_us, 0);
	}
	return -1;
}
