/*-------------------------------------------------------------------------
 *
 * node_lag.c
 *	  Which position the primary had when, and what follows from that.
 *
 * A node that has reached a sample's position misses nothing that was
 * committed before the sample's time.  Read in one direction that gives a
 * replica's lag, in the other the position that bounds a read's staleness.
 * Only this server's clock counts, and an idle primary makes no lag.
 *
 * A sample with an earlier time and a higher position than another one says
 * nothing that the other doesn't say better.  It is dropped: so an answer that
 * went back (a primary that crashed and lost asynchronous commits; one that
 * answered its insert position) takes what is above it along.
 *
 * Once somebody is known to be on a newer timeline, it isn't known since when
 * the old primary was no longer the primary.  Its samples then bound nothing;
 * they only still tell the lag of replicas that haven't followed.
 *
 * The history is bounded: when it is full, samples are dropped where that
 * leaves a gap of no more than a part of its age.  The oldest stays.  So it
 * reaches back as far as the primary was heard, however often it is asked, and
 * is the coarser the older: a lag comes out too large by a part of itself, and
 * a bound too strict.
 *
 * Pure: no clock, no shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "node/node_lag.h"

/* a gap may be this part of its age */
#define GAP_PART 8

static void thin_out(NodeLagHistory *history, int64 now_us);

/*
 * node_lag_set_timeline
 *		The highest timeline that any node is on.
 *
 * It can go back: a node that was promoted by mistake and made anew.
 */
void
node_lag_set_timeline(NodeLagHistory *history, TimeLineID timeline)
{
	history->timeline = timeline;
	while (history->nsamples > 0 &&
		   history->samples[history->nsamples - 1].position.tli > timeline)
		history->nsamples--;
}

/*
 * node_lag_add
 *		Asked at time_us, the primary had this position.  Is that news?
 *
 * It isn't if it comes from a server that was replaced, perhaps without
 * knowing, or if one that was asked later has answered before.
 */
bool
node_lag_add(NodeLagHistory *history, int64 time_us, Position position)
{
	int			n = history->nsamples;
	NodeLagSample *samples = history->samples;

	if (position.tli < history->timeline)
		return false;
	if (n > 0 && samples[n - 1].position.tli == position.tli &&
		samples[n - 1].time_us > time_us)
		return false;

	while (n > 0 && (samples[n - 1].time_us >= time_us ||
					 !position_before(samples[n - 1].position, position)))
		n--;
	history->nsamples = n;
	history->timeline = position.tli;
	if (n == NODE_LAG_SAMPLES)
		thin_out(history, time_us);
	samples[history->nsamples++] = (NodeLagSample)
	{
		time_us, position
	};
	return true;
}

/* Make room for at least one sample. */
static void
thin_out(NodeLagHistory *history, int64 now_us)
{
	NodeLagSample *samples = history->samples;
	int			last = history->nsamples - 1;
	int			n = 1;

	for (int i = 1; i < last; i++)
	{
		int64		gap = samples[i + 1].time_us - samples[n - 1].time_us;

		if (gap * GAP_PART > now_us - samples[i + 1].time_us)
			samples[n++] = samples[i];
	}
	samples[n++] = samples[last];
	if (n == NODE_LAG_SAMPLES)
		memmove(&samples[1], &samples[2], (--n - 1) * sizeof(NodeLagSample));
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

/* Up to when the history bounds anything; PG_INT64_MIN: it doesn't. */
int64
node_lag_newest(const NodeLagHistory *history)
{
	const NodeLagSample *newest;

	if (history->nsamples == 0)
		return PG_INT64_MIN;
	newest = &history->samples[history->nsamples - 1];
	return newest->position.tli < history->timeline ? PG_INT64_MIN : newest->time_us;
}

/*
 * node_lag_position_since
 *		What has reached *position misses nothing that was committed before
 *		since_us.  The lowest such that is known; false if none is.
 */
bool
node_lag_position_since(const NodeLagHistory *history, int64 since_us, Position *position)
{
	int			low = 0;
	int			high = history->nsamples;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const NodeLagSample *sample = &history->samples[middle];

		if (sample->time_us < since_us || sample->position.tli < history->timeline)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == history->nsamples)
		return false;
	*position = history->samples[low].position;
	return true;
}
