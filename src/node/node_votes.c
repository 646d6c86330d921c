/*-------------------------------------------------------------------------
 *
 * node_votes.c
 *	  How far the nodes are, asked anew: for reads that ask a quorum.
 *
 * Who wants to know leaves the time from when on answers count, and wakes the
 * monitor.  That sends a heartbeat to each node that owes it no answer, and to
 * the others as soon as they have answered.  An answer is kept together with the
 * time when its question was sent: it counts for all who began before that.  So
 * all nodes are asked at once, and any number of readers share the questions.
 *
 * What a node tells is a vote: it has all writes up to there, and had applied
 * whatever it was counted for when a write was acknowledged.  So
 *
 * - a replica that was started anew has no vote until it has replayed all the log
 *	 that it had before (node_status_caught_up): until then it may be behind of what
 *	 it had applied once;
 *
 * - a server that is declared twice, by different addresses, has one vote.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "core/wait_event.h"
#include "node/node_table.h"
#include "node/node_votes.h"

/* who has asked within this time still waits, microseconds */
#define WAITED_FOR_US 500000

static bool add_vote(NodeVotes *votes, uint64 *instances, const SharedNode *node, int64 since_us);

/*
 * node_votes_request
 *		Have all nodes asked, as soon as possible, whose last answer was to a
 *		question from before since_us.
 *
 * Who waits asks again now and then.
 */
void
node_votes_request(int64 since_us)
{
	uint64		wanted;

	if (node_table == NULL)
		return;

	pg_atomic_write_u64(&node_table->votes_requested_us, node_clock_us());
	wanted = pg_atomic_read_u64(&node_table->votes_wanted_us);
	while (wanted < (uint64) since_us &&
		   !pg_atomic_compare_exchange_u64(&node_table->votes_wanted_us, &wanted, since_us))
		;

	/* It will see this, too, if it was woken and hasn't looked yet. */
	if (pg_atomic_exchange_u32(&node_table->votes_woken, 1) == 0)
	{
		LWLockAcquire(&node_table->lock, LW_SHARED);
		if (node_table->monitor)
			SetLatch(node_table->monitor);
		LWLockRelease(&node_table->lock);
	}
}

/*
 * node_votes_count
 *		What the nodes of this database have answered to questions that were sent
 *		at since_us or later.
 */
void
node_votes_count(int64 since_us, NodeVotes *votes)
{
	uint64		instances[NODE_STATE_MAX_NODES];
	int			slots[NODE_STATE_MAX_NODES];

	votes->members = votes->n = 0;
	votes->own = false;
	if (node_table == NULL)
		return;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	votes->members = node_table_members(MyDatabaseId, slots);
	for (int i = 0; i < votes->members; i++)
	{
		const SharedNode *node = &node_table->nodes[slots[i]];

		if (node->self)
			votes->own = true;
		else if (add_vote(votes, instances, node, since_us))
			instances[votes->n - 1] = node->instance;
	}
	LWLockRelease(&node_table->lock);
	votes->own = votes->own && node_status_caught_up();
}

/* Add another node's vote, if it has one that isn't counted yet.  Under lock. */
static bool
add_vote(NodeVotes *votes, uint64 *instances, const SharedNode *node, int64 since_us)
{
	if (node->voted_us < since_us)
		return false;
	for (int i = 0; i < votes->n; i++)
	{
		if (instances[i] == node->instance)
			return false;
	}
	votes->positions[votes->n++] = node->vote;
	return true;
}

/* From here on, news end the next sleep.  End it with ConditionVariableCancelSleep(). */
void
node_votes_prepare_to_sleep(void)
{
	ConditionVariablePrepareToSleep(&node_table->voted);
}

/* Wait for the next answer of any node. */
void
node_votes_sleep(long timeout_ms)
{
	(void) ConditionVariableTimedSleep(&node_table->voted, timeout_ms, wait_event_read_quorum());
}

/* Since when answers are wanted; and does anybody wait for them still? */
int64
node_votes_wanted(bool *waited_for)
{
	int64		requested_us;

	/* Whoever comes from here on wakes us again. */
	(void) pg_atomic_exchange_u32(&node_table->votes_woken, 0);
	requested_us = (int64) pg_atomic_read_u64(&node_table->votes_requested_us);
	*waited_for = requested_us > 0 && requested_us > node_clock_us() - WAITED_FOR_US;
	return (int64) pg_atomic_read_u64(&node_table->votes_wanted_us);
}
