/*-------------------------------------------------------------------------
 *
 * node_freshness.c
 *	  Which position bounds how stale a read is.
 *
 * The monitor keeps in the shared table when the primary was asked and which
 * position it answered (node_lag.c).  Whoever has replayed that position
 * misses nothing that was committed before the primary was asked.  So a bound
 * in time becomes a position, and no two clocks are compared.
 *
 * Who needs a younger answer than there is asks for it: the time goes to
 * NodeTable.wanted_us and the monitor is woken, which then asks the primary at
 * once.  Requests that come while it is at it don't wake it again: it looks
 * once more when the answer has come.  So any number of them share one
 * heartbeat, or two.  While somebody waits, a primary that can't be reached is
 * tried more often than otherwise, and replicas are asked more often, one of
 * which may have been promoted.
 *
 * A primary that hasn't been replaced needs to ask nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "core/wait_event.h"
#include "node/node_freshness.h"
#include "node/node_table.h"
#include "session/commit_position.h"

/* who has asked within this time still waits, microseconds */
#define WAITED_FOR_US 500000

static bool is_waited_for(int64 now);

/*
 * node_freshness_position
 *		What must a node show so that it misses nothing that was committed
 *		before since_us?
 *
 * The lowest position known to suffice.  False if the primary hasn't answered
 * since: node_freshness_wait() may help.
 */
bool
node_freshness_position(int64 since_us, Position *position)
{
	bool		known;

	if (node_table == NULL)
		return false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	known = node_lag_position_since(&node_table->history, since_us, position);
	LWLockRelease(&node_table->lock);
	return known;
}

/*
 * node_freshness_follow_timeline
 *		This server is on a newer timeline than the history: what an older
 *		primary answered bounds nothing any more.
 */
void
node_freshness_follow_timeline(void)
{
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	node_table_follow_timeline();
	LWLockRelease(&node_table->lock);
}

/*
 * node_freshness_request
 *		Have the primary asked, as soon as possible, unless it has answered
 *		since since_us already.
 */
void
node_freshness_request(int64 since_us)
{
	int64		now = node_clock_us();
	int64		newest;

	if (node_table == NULL)
		return;
	node_freshness_sample_self();

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	newest = node_lag_newest(&node_table->history);
	if (newest < since_us)
	{
		bool		known = node_table->wanted_us > newest && is_waited_for(now);

		/* What is asked now can't be of a later time than now. */
		node_table->wanted_us = Max(node_table->wanted_us, Min(since_us, now));
		node_table->requested_us = now;
		if (!known && node_table->monitor)
			SetLatch(node_table->monitor);
	}
	LWLockRelease(&node_table->lock);
}

/*
 * node_freshness_wait
 *		Wait until the primary has answered what it was asked at since_us or
 *		later; false if it hasn't within the timeout.
 */
bool
node_freshness_wait(int64 since_us, long timeout_ms)
{
	int64		deadline = node_clock_us() + timeout_ms * INT64CONST(1000);
	Position	position;
	bool		known;

	if (node_table == NULL)
		return false;

	ConditionVariablePrepareToSleep(&node_table->answered);
	while (!(known = node_freshness_position(since_us, &position)))
	{
		int64		left_us = deadline - node_clock_us();

		if (left_us <= 0)
			break;
		node_freshness_request(since_us);
		(void) ConditionVariableTimedSleep(&node_table->answered,
										   (long) ((left_us + 999) / 1000),
										   wait_event_freshness());
	}
	ConditionVariableCancelSleep();
	return known;
}

/* Where we are the primary, take down what we have ourselves. */
void
node_freshness_sample_self(void)
{
	int64		now = node_clock_us();
	Position	position;
	bool		news;

	if (RecoveryInProgress())
		return;

	position = commit_position_bound();
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	node_table_follow_timeline();
	news = node_lag_add(&node_table->history, now, position);
	LWLockRelease(&node_table->lock);

	if (news)
		ConditionVariableBroadcast(&node_table->answered);
}

/*
 * node_freshness_wanted
 *		Of what time, or later, an answer of the primary is wanted; and does
 *		anybody wait for it still?
 */
int64
node_freshness_wanted(bool *waited_for)
{
	int64		wanted_us;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	wanted_us = node_table->wanted_us;
	*waited_for = is_waited_for(node_clock_us());
	LWLockRelease(&node_table->lock);
	return wanted_us;
}

/* Who waits asks again and again.  Under lock. */
static bool
is_waited_for(int64 now)
{
	return node_table->requested_us > now - WAITED_FOR_US;
}
