/*-------------------------------------------------------------------------
 *
 * quorum_read.c
 *	  Asks a quorum of nodes how far they are, ahead of a read.
 *
 * All nodes are asked at once, and as many as are demanded must answer what they
 * were asked after the read began.  A write that W nodes have applied is in one
 * of R answers at least, if R + W is more than there are nodes; so what is at the
 * highest answer has all acknowledged writes.
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
#include "access/xlogrecovery.h"
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
#include "session/commit_position.h"

/* how long to sleep at most before looking again, milliseconds */
#define QUORUM_NAP 50

/* and while the picture of the nodes isn't what the catalogs say */
#define MEMBERS_NAP 5

static bool gather_since(ReadQuorum *quorum, int64 since_us, TimestampTz deadline);
static bool look(ReadQuorum *quorum, int64 since_us);
static void check_size(int needed, int members);
static Position own_position(void);
static bool agree(const NodeVotes *votes, Position own, int needed, Position *position);
static int	count_agreeing(const NodeVotes *votes, Position own, TimeLineID tli, Position *highest);
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
		requirement_add_quorum(requirement);
		failure = meet_quorum_position(requirement, deadline);
		if (failure != MEET_OK)
			return failure;

		/*
		 * Nodes that were declared by then may be those that have a write;
		 * and what the nodes told before may not be in the history that this
		 * server has followed meanwhile.
		 */
		AcceptInvalidationMessages();
		if (version == node_members_version() &&
			timeline_judge(quorum->position, own_position().tli) != TIMELINE_LOST)
			return MEET_OK;
		quorum->gathered = 0;
	}
}

/* Ask, and wait for the answers; false if there aren't enough by the deadline. */
static bool
gather_since(ReadQuorum *quorum, int64 since_us, TimestampTz deadline)
{
	bool		found;

	node_votes_request(since_us);
	InvalidateCatalogSnapshot();
	node_votes_prepare_to_sleep();
	while (!(found = look(quorum, since_us)))
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

/* Have enough nodes answered that agree?  What they tell goes to *quorum. */
static bool
look(ReadQuorum *quorum, int64 since_us)
{
	NodeVotes	votes;
	Position	own = own_position();
	int			needed;

	if (!node_members_are_known())
	{
		/* That looked at catalogs; replay must not wait for us. */
		InvalidateCatalogSnapshot();
		return false;
	}
	node_votes_count(since_us, &votes);
	needed = read_quorum_nodes(quorum, votes.members);
	check_size(needed, votes.members);
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

/* How far this server is, and on which timeline. */
static Position
own_position(void)
{
	Position	position;

	if (!RecoveryInProgress())
		return commit_position_bound();
	position.lsn = GetXLogReplayRecPtr(&position.tli);
	return position;
}

/*
 * Is there a timeline, our own or a newer one, on which enough of them agree?
 * *position: the highest answer of those, on the newest such timeline.
 */
static bool
agree(const NodeVotes *votes, Position own, int needed, Position *position)
{
	TimeLineID	best = 0;

	for (int i = -1; i < votes->n; i++)
	{
		TimeLineID	tli = i < 0 ? own.tli : votes->positions[i].tli;
		Position	highest;

		if (tli >= own.tli && tli > best &&
			count_agreeing(votes, own, tli, &highest) >= needed)
		{
			best = tli;
			*position = highest;
		}
	}
	return best != 0;
}

/* How many agree on the history of a timeline, and how far is the first of them? */
static int
count_agreeing(const NodeVotes *votes, Position own, TimeLineID tli, Position *highest)
{
	int			n = 0;

	*highest = POSITION_NONE;
	if (votes->own && agrees(own, tli, own.tli))
	{
		n++;
		*highest = own;
	}
	for (int i = 0; i < votes->n; i++)
	{
		if (!agrees(votes->positions[i], tli, own.tli))
			continue;
		n++;
		*highest = position_max(*highest, votes->positions[i]);
	}
	return n;
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
