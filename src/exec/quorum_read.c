/*-------------------------------------------------------------------------
 *
 * quorum_read.c
 *	  Asks a quorum of nodes how far they are, ahead of a read.
 *
 * All nodes are asked at once, and as many as are demanded must answer what they
 * were asked after the read began.  A write that W nodes have applied is in one
 * of R answers at least, if R + W is more than there are nodes; so what is at the
 * highest of them has all acknowledged writes.  Of more answers than R, any R will
 * do: so those that are the least far.
 *
 * Of what a node tells, the log may never get here: a primary that has died since
 * may have told what nobody has received.  So answers that come while the read
 * waits for replay count as well.
 *
 * Highest among those who agree on a history, that is.  After a failover nodes
 * can be on two timelines, and what the old one has beyond the switch point isn't
 * part of the new one, though it may have been acknowledged.  So
 *
 * - nodes on one timeline agree;
 *
 * - a node on an older one agrees with them if it hasn't gone beyond the switch
 *	 point.  Only who is on the newer one himself knows where that is.
 *
 * R of those who agree are needed.  Then no acknowledged write is silently
 * unseen, not even one that a failover has lost: a node that has it doesn't
 * agree, and without it there is no quorum until it was made anew.
 *
 * A server whose own timeline is older than that of the quorum follows it, as a
 * replica, or isn't the primary any more.  One whose own is newer doesn't go back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "storage/condition_variable.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "exec/meet.h"
#include "exec/quorum_read.h"
#include "exec/replay_wait.h"
#include "node/node_members.h"
#include "node/node_state.h"
#include "node/node_votes.h"
#include "requirement/timeline.h"

/* how long to sleep at most before looking again, milliseconds */
#define QUORUM_NAP 50

/*
 * how long to wait for replay before looking for more answers, milliseconds; each
 * time twice as long, as one wait must last for replay_wait() to find out what is
 * in its way
 */
#define REPLAY_NAP 50

/* and while the picture of the nodes isn't what the catalogs say */
#define MEMBERS_NAP 5

static bool gather_since(ReadQuorum *quorum, int64 since_us, TimestampTz deadline);
static MeetFailure reach(Requirement *requirement, int64 since_us, TimestampTz deadline);
static bool await_better(ReadQuorum *quorum, int64 since_us, int timeout_ms, bool *all);
static bool look(ReadQuorum *quorum, int64 since_us, bool *all);
static void check_size(int needed, int members);
static bool agree(const NodeVotes *votes, Position own, int needed, Position *position);
static int	count_agreeing(const NodeVotes *votes, Position own, TimeLineID tli, Position *agreeing);
static int	compare_positions(const void *a, const void *b);
static bool agrees(Position vote, TimeLineID tli, TimeLineID own);
static Position highest_shown(const NodeVotes *votes, TimeLineID tli);

/*
 * quorum_read_gather
 *		Ask the nodes, if they are to be asked and weren't yet, and note in the
 *		requirement what they tell.
 */
MeetFailure
quorum_read_gather(Requirement *requirement, TimestampTz deadline)
{
	ReadQuorum *quorum = &requirement->read_quorum;

	if (!read_quorum_is_asked(quorum) || quorum->gathered > 0)
		return MEET_OK;
	if (!gather_since(quorum, node_clock_us(), deadline))
		return MEET_NO_QUORUM;
	requirement_add_quorum(requirement);
	return MEET_OK;
}

/*
 * quorum_read_meet
 *		The same, and make sure that new snapshots here show what they have told:
 *		at a replica all of it; at a primary that there is nothing newer, and all
 *		but what isn't visible yet (meet.c).
 */
MeetFailure
quorum_read_meet(Requirement *requirement, TimestampTz deadline)
{
	ReadQuorum *quorum = &requirement->read_quorum;
	int64		since_us = node_clock_us();

	if (!read_quorum_is_asked(quorum) || quorum->holds_here)
		return MEET_OK;

	for (;;)
	{
		uint32		version = node_members_version();
		MeetFailure failure;

		if (quorum->gathered == 0 && !gather_since(quorum, since_us, deadline))
			return MEET_NO_QUORUM;
		failure = reach(requirement, since_us, deadline);
		requirement_add_quorum(requirement);
		if (failure != MEET_OK)
			return failure;

		/*
		 * Nodes that were declared by then may be those that have a write;
		 * and what the nodes told before may not be in the history that this
		 * server has followed meanwhile.
		 */
		AcceptInvalidationMessages();
		if (version == node_members_version() &&
			timeline_judge(quorum->position, node_status_position(RecoveryInProgress()).tli) != TIMELINE_LOST)
			return MEET_OK;
		quorum->gathered = 0;
	}
}

/*
 * reach
 *		At a replica, wait until all is replayed that the nodes have told.
 *
 * While not all of them have answered, R that are less far may come.  So that is
 * looked at now and then, and before the primary is asked instead, which may be
 * dead.
 */
static MeetFailure
reach(Requirement *requirement, int64 since_us, TimestampTz deadline)
{
	ReadQuorum *quorum = &requirement->read_quorum;
	ReplayGoal	goal = replay_goal(quorum->position, deadline);
	bool		all = false;

	for (int64 nap = REPLAY_NAP;; nap *= 2)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz until = all ? deadline : Min(deadline, TimestampTzPlusMilliseconds(now, nap));
		MeetFailure failure = meet_quorum_position(requirement, &goal, until);
		bool		better;

		if (all)
			return failure;
		if (failure == MEET_GIVEN_UP)
			better = await_better(quorum, since_us, Min(REPLAY_NAP, nap), &all);
		else if (failure != MEET_REPLAY_BEHIND || GetCurrentTimestamp() < until)
			return failure;		/* if before its time, it was cancelled */
		else
			better = await_better(quorum, since_us, 0, &all);
		if (better)
			goal = replay_goal(quorum->position, deadline);
		else if (failure == MEET_GIVEN_UP || until >= deadline)
			return failure;
	}
}

/*
 * await_better
 *		Wait for answers by which the read has to show less; false if there are
 *		none.
 *
 * What shows more doesn't count, or else a replica that lags would never get there.
 */
static bool
await_better(ReadQuorum *quorum, int64 since_us, int timeout_ms, bool *all)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	ReadQuorum	now = *quorum;
	bool		better;

	node_votes_request(since_us);
	node_votes_prepare_to_sleep();
	for (;;)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		better = look(&now, since_us, all) && position_before(now.position, quorum->position);
		InvalidateCatalogSnapshot();
		if (better || *all || left <= 0)
			break;
		node_votes_sleep(left);
	}
	ConditionVariableCancelSleep();
	if (better)
		*quorum = now;
	return better;
}

/* Ask, and wait for the answers; false if there aren't enough by the deadline. */
static bool
gather_since(ReadQuorum *quorum, int64 since_us, TimestampTz deadline)
{
	bool		found;
	bool		all;

	node_votes_request(since_us);
	InvalidateCatalogSnapshot();
	node_votes_prepare_to_sleep();
	while (!(found = look(quorum, since_us, &all)))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
			break;
		if (!node_members_are_known())
		{
			node_state_request();
			left = Min(left, MEMBERS_NAP);
		}
		node_votes_sleep(Min(left, QUORUM_NAP));
		node_votes_request(since_us);
	}
	ConditionVariableCancelSleep();
	return found;
}

/*
 * look
 *		Have enough nodes answered that agree?  What they tell goes to *quorum.
 *		*all: everybody has answered.
 */
static bool
look(ReadQuorum *quorum, int64 since_us, bool *all)
{
	NodeVotes	votes;
	Position	own = node_status_position(RecoveryInProgress());
	int			needed;

	*all = false;
	if (!node_members_are_known())
	{
		/* That looked at catalogs; replay must not wait for us. */
		InvalidateCatalogSnapshot();
		return false;
	}
	node_votes_count(since_us, &votes);
	needed = read_quorum_nodes(quorum, votes.members);
	check_size(needed, votes.members);
	*all = votes.n + (votes.own ? 1 : 0) == votes.members;
	if (!agree(&votes, own, needed, &quorum->position))
		return false;
	quorum->shown = highest_shown(&votes, own.tli);
	quorum->gathered = needed;
	return true;
}

static void
check_size(int needed, int members)
{
	if (needed <= members)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a read quorum of %d is more nodes than there are", needed),
			 errdetail_plural("This database declares %d node.", "This database declares %d nodes.",
							  members, members),
			 errhint("Declare all nodes, the primary among them, with CREATE SERVER; or lower consistency.read_quorum.")));
}

/*
 * Is there a timeline, our own or a newer one, on which enough of them agree?
 * *position: the highest of those needed that are the least far, on the newest
 * such timeline.
 */
static bool
agree(const NodeVotes *votes, Position own, int needed, Position *position)
{
	TimeLineID	best = 0;

	for (int i = -1; i < votes->n; i++)
	{
		TimeLineID	tli = i < 0 ? own.tli : votes->positions[i].tli;
		Position	agreeing[NODE_STATE_MAX_NODES + 1];
		int			n;

		if (tli >= own.tli && tli > best &&
			(n = count_agreeing(votes, own, tli, agreeing)) >= needed)
		{
			best = tli;
			qsort(agreeing, n, sizeof(Position), compare_positions);
			*position = agreeing[needed - 1];
		}
	}
	return best != 0;
}

/* How many agree on the history of a timeline, and how far are they? */
static int
count_agreeing(const NodeVotes *votes, Position own, TimeLineID tli, Position *agreeing)
{
	int			n = 0;

	if (votes->own && agrees(own, tli, own.tli))
		agreeing[n++] = own;
	for (int i = 0; i < votes->n; i++)
	{
		if (agrees(votes->positions[i], tli, own.tli))
			agreeing[n++] = votes->positions[i];
	}
	return n;
}

/* For qsort(): who is less far comes first. */
static int
compare_positions(const void *a, const void *b)
{
	if (position_before(*(const Position *) a, *(const Position *) b))
		return -1;
	return position_equal(*(const Position *) a, *(const Position *) b) ? 0 : 1;
}

/* Is a node's position in the history of a timeline, as far as we can tell? */
static bool
agrees(Position vote, TimeLineID tli, TimeLineID own)
{
	if (vote.tli == tli)
		return true;
	return vote.tli < tli && tli == own && timeline_judge(vote, own) != TIMELINE_LOST;
}

/* What another node can have shown of our own timeline. */
static Position
highest_shown(const NodeVotes *votes, TimeLineID tli)
{
	Position	shown = POSITION_NONE;

	for (int i = 0; i < votes->n; i++)
	{
		if (votes->positions[i].tli == tli)
			shown = position_max(shown, votes->positions[i]);
	}
	return shown;
}
