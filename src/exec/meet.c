/*-------------------------------------------------------------------------
 *
 * meet.c
 *	  Makes this server meet a requirement.
 *
 * On a replica that means to wait until replay has got far enough: up to a
 * position, or so far that the staleness is within its bounds.  How far that is,
 * heartbeats tell: node/node_freshness.h.
 *
 * On a primary it means that the snapshot is behind the visibility barrier, and,
 * where only the primary will do, that this server still is it.
 *
 * All waits end at a deadline, and can be cancelled.  A position that was lost in
 * a failover is an error at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/guc.h"
#include "core/weaken.h"
#include "exec/meet.h"
#include "exec/meet_leader.h"
#include "exec/quorum_read.h"
#include "exec/replay_wait.h"
#include "node/node_catalog.h"
#include "node/node_freshness.h"
#include "node/node_state.h"
#include "requirement/barrier.h"
#include "requirement/timeline.h"
#include "session/session.h"

/* how long to wait at a time before looking at the heartbeats again, ms */
#define FRESHNESS_NAP 50

/*
 * What replay had reached when this session last looked: every snapshot taken
 * since then shows at least that.
 */
static Position replay_seen;

/*
 * The transaction whose snapshot, which it keeps, was looked at, or was taken
 * after a wait; for what; and what came of it.
 */
static LocalTransactionId checked_transaction = InvalidLocalTransactionId;
static Requirement checked_requirement;
static MeetFailure checked_failure; /* MEET_OK, or why it is not good */

static bool snapshot_was_checked(const Requirement *requirement);
static bool quorum_was_asked(const Requirement *requirement);
static void note_checked_snapshot(const Requirement *requirement, MeetFailure failure);
static MeetFailure meet_before_barrier(Requirement *requirement, TimestampTz deadline);
static MeetFailure meet_at_replica(Requirement *requirement, TimestampTz deadline);
static MeetFailure meet_bounds(const Requirement *requirement, TimestampTz deadline);
static bool bounds_position(const Requirement *requirement, int64 began_us, int64 *since_us,
							Position *position);
static bool heartbeat_since(int64 since_us, Position *position);
static MeetFailure await_heartbeat(int64 since_us, TimestampTz deadline);
static Position bounds_goal(const Requirement *requirement, TimestampTz deadline, Position wanted);
static MeetFailure await_replay(Position position, TimestampTz deadline, bool may_give_up);
static MeetFailure replay_to(Position position, TimestampTz until, const ReplayGoal *goal, bool *lost);
static MeetFailure blocked(bool may_give_up);
static bool snapshot_holds(const Requirement *requirement, Snapshot snapshot, Position seen);
static bool snapshot_is_current(Snapshot snapshot);
static bool bounds_hold_since(const Requirement *requirement, Position reached);
static void elsewhere_holds_here(Requirement *requirement);
static XLogRecPtr barrier_bound(const Requirement *requirement);
static void note_replay(void);

/* Must this server do something before it may serve a read? */
bool
meet_is_pending(const Requirement *requirement)
{
	return requirement_is_pending(requirement, RecoveryInProgress()) || meet_is_deposed(requirement);
}

/* Has the transaction a snapshot that it will keep? */
bool
meet_snapshot_is_fixed(void)
{
	return IsolationUsesXactSnapshot() && FirstSnapshotSet;
}

/*
 * meet_requirement
 *		Make this server meet the requirement: snapshots that are taken
 *		thereafter do.
 *
 * Except that on a primary they need not be prefixes of the log.
 */
MeetFailure
meet_requirement(Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure = meet_before_barrier(requirement, deadline);

	if (failure != MEET_OK || RecoveryInProgress())
		return failure;
	if (!barrier_wait(barrier_bound(requirement), deadline))
		return MEET_NOT_VISIBLE;
	elsewhere_holds_here(requirement);
	return MEET_OK;
}

/*
 * meet_for_transaction
 *		Make this server meet the requirement of a transaction that will keep
 *		its first snapshot.
 *
 * Where that must be a prefix of the log, it is taken now.
 */
MeetFailure
meet_for_transaction(Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure;
	Requirement checked;

	if (!requirement->prefix || RecoveryInProgress())
		failure = meet_requirement(requirement, deadline);
	else
	{
		failure = meet_before_barrier(requirement, deadline);
		if (failure == MEET_OK &&
			!barrier_fix_snapshot(barrier_bound(requirement), deadline))
			failure = MEET_NOT_VISIBLE;
		if (failure == MEET_OK)
			elsewhere_holds_here(requirement);
	}

	/* A bound is to hold when the snapshot is taken, which may be much later. */
	checked = *requirement;
	if (!FirstSnapshotSet && failure == MEET_OK)
		checked.max_staleness_ms = checked.max_lag = -1;
	note_checked_snapshot(&checked, failure);
	return failure;
}

/*
 * meet_with_new_snapshot
 *		Make this server meet the requirement and take a snapshot that does.
 *
 * The caller has given its snapshots back.  On failure the snapshot is one that
 * may not do.
 */
MeetFailure
meet_with_new_snapshot(Requirement *requirement, TimestampTz deadline, Snapshot *snapshot)
{
	MeetFailure failure = meet_before_barrier(requirement, deadline);

	if (failure == MEET_OK && !RecoveryInProgress())
	{
		*snapshot = barrier_snapshot(barrier_bound(requirement), deadline);
		if (*snapshot != NULL)
		{
			elsewhere_holds_here(requirement);
			return MEET_OK;
		}
		failure = MEET_NOT_VISIBLE;
	}
	*snapshot = GetTransactionSnapshot();
	return failure;
}

/*
 * meet_with_fixed_snapshot
 *		Meet the requirement with a snapshot that can't be taken anew.
 *
 * On a primary the snapshot may be behind the barrier as it is.  Of one that was
 * taken at a replica it can be told only if nothing has happened since, or if
 * this session had looked before it took the snapshot; but after the error a
 * retry finds what it needs.
 */
MeetFailure
meet_with_fixed_snapshot(Requirement *requirement, TimestampTz deadline, Snapshot snapshot)
{
	Position	seen = replay_seen;
	MeetFailure failure;
	bool		good;

	/* A transaction's snapshot is as good, or bad, for its later statements. */
	if (!position_is_set(requirement->position_here) &&
		!position_is_set(requirement->older_here) &&
		snapshot_was_checked(requirement) &&
		(checked_failure == MEET_OK || requirement_covers(requirement, &checked_requirement)))
		return checked_failure;

	/* The nodes were asked ahead of the snapshot, if it is a transaction's. */
	if (quorum_was_asked(requirement))
		requirement->read_quorum = checked_requirement.read_quorum;
	failure = meet_before_barrier(requirement, deadline);
	if (failure != MEET_OK)
		return failure;

	if (snapshot->takenDuringRecovery)
		good = snapshot_holds(requirement, snapshot, seen);
	else
		good = barrier_is_behind(snapshot, barrier_bound(requirement), requirement->prefix, deadline);
	if (!good && !weakened(MECHANISM_SNAPSHOT))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the transaction's snapshot may be older than its consistency allows"),
				 errhint("Retry the transaction: this server is ready for it now.")));
	note_checked_snapshot(requirement, MEET_OK);
	elsewhere_holds_here(requirement);
	return MEET_OK;
}

/* Is it known whether the snapshot that the transaction keeps does, positions aside? */
static bool
snapshot_was_checked(const Requirement *requirement)
{
	return checked_transaction == COMPAT_MY_LXID &&
		requirement_covers(&checked_requirement, requirement);
}

/* Does it show what a quorum told that was asked before it was taken? */
static bool
quorum_was_asked(const Requirement *requirement)
{
	return checked_transaction == COMPAT_MY_LXID && checked_failure == MEET_OK &&
		checked_requirement.read_quorum.holds_here &&
		read_quorum_covers(&checked_requirement.read_quorum, &requirement->read_quorum);
}

static void
note_checked_snapshot(const Requirement *requirement, MeetFailure failure)
{
	if (snapshot_was_checked(requirement) && checked_failure == MEET_OK)
		return;
	checked_failure = failure;
	checked_transaction = COMPAT_MY_LXID;
	checked_requirement = *requirement;
}

/*
 * meet_check_history
 *		Raise an error if the session knows of anything that this server knows
 *		to have been lost.
 *
 * For a read that leaves: the other node is told of the highest position only.
 */
void
meet_check_history(const Requirement *requirement)
{
	const Position positions[] = {requirement->position_here, requirement->older_here};
	TimeLineID	tli;

	if (RecoveryInProgress())
		(void) GetXLogReplayRecPtr(&tli);
	else
		tli = GetWALInsertionTimeLine();
	for (int i = 0; i < lengthof(positions); i++)
	{
		if (position_is_set(positions[i]) && timeline_judge(positions[i], tli) == TIMELINE_LOST)
			meet_error_lost(positions[i], tli);
	}
}

/* Meet all of it but the barrier. */
static MeetFailure
meet_before_barrier(Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure = meet_at_replica(requirement, deadline);

	if (failure != MEET_OK || RecoveryInProgress())
		return failure;
	failure = meet_leader(requirement, deadline);
	if (failure == MEET_OK)
		failure = quorum_read_meet(requirement, deadline);
	if (failure == MEET_OK)
	{
		meet_check_timeline(requirement->position_here);
		meet_check_timeline(requirement->older_here);
	}
	return failure;
}

/* The part that only a replica has to do; nothing at a primary. */
static MeetFailure
meet_at_replica(Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure = MEET_OK;

	if (!RecoveryInProgress())
		return MEET_OK;
	if (requirement->leader)
	{
		meet_check_history(requirement);
		return MEET_NOT_PRIMARY;
	}

	failure = quorum_read_meet(requirement, deadline);
	if (failure == MEET_OK && position_is_set(requirement->position_here))
		failure = await_replay(requirement->position_here, deadline, requirement->may_give_up);
	if (failure == MEET_OK && position_is_set(requirement->older_here))
		failure = await_replay(requirement->older_here, deadline, requirement->may_give_up);
	if (failure != MEET_OK)
		return failure;

	/* Promoted meanwhile, a primary asks whether it has lost the position. */
	if (!RecoveryInProgress())
		return MEET_OK;
	elsewhere_holds_here(requirement);
	failure = meet_bounds(requirement, deadline);
	note_replay();
	return failure;
}

/* Wait until this replica misses no more than the bounds allow. */
static MeetFailure
meet_bounds(const Requirement *requirement, TimestampTz deadline)
{
	int64		began_us = node_clock_us();
	ReplayGoal	goal;

	if (!requirement_has_bounds(requirement) || weakened(MECHANISM_BOUNDS))
		return MEET_OK;

	goal = replay_goal(POSITION_NONE, deadline);
	for (;;)
	{
		TimestampTz nap_end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FRESHNESS_NAP);
		Position	wanted;
		int64		since_us;
		MeetFailure failure;
		ReplayWaitResult result;

		if (!RecoveryInProgress())
			return MEET_OK;
		if (!bounds_position(requirement, began_us, &since_us, &wanted))
		{
			failure = await_heartbeat(since_us, deadline);
			if (failure != MEET_OK)
				return failure;
			continue;
		}

		/*
		 * What is wanted moves with time: look again now and then.  That it
		 * was lost is no news to a session that hasn't seen it.
		 */
		goal.position = bounds_goal(requirement, deadline, wanted);
		result = replay_wait(wanted, Min(nap_end, deadline),
							 requirement->may_give_up ? &goal : NULL);
		if (result == REPLAY_REACHED || result == REPLAY_ENDED)
			return MEET_OK;
		if (result == REPLAY_GIVEN_UP)
			return MEET_GIVEN_UP;
		if (result == REPLAY_BLOCKED_BY_US)
			return blocked(requirement->may_give_up);
		if (GetCurrentTimestamp() >= deadline)
			return MEET_NOT_FRESH;
	}
}

/*
 * bounds_position
 *		Which position must replay have reached for the bounds to hold now?
 *
 * False if no heartbeat tells, and in *since_us from when one is missing.  A
 * bound in bytes needs one that was sent after the read began.
 */
static bool
bounds_position(const Requirement *requirement, int64 began_us, int64 *since_us,
				Position *position)
{
	Position	latest;

	*position = POSITION_NONE;
	if (requirement->max_staleness_ms >= 0)
	{
		*since_us = node_clock_us() - requirement->max_staleness_ms * INT64CONST(1000);
		*since_us = Min(*since_us, began_us);
		if (!heartbeat_since(*since_us, position))
			return false;
	}
	if (requirement->max_lag >= 0)
	{
		*since_us = began_us;
		if (!heartbeat_since(*since_us, &latest))
			return false;
		latest.lsn = latest.lsn > requirement->max_lag ? latest.lsn - requirement->max_lag : 1;
		*position = position_max(*position, latest);
	}
	return true;
}

/*
 * What will be wanted at the deadline, as far as that is known yet?
 *
 * A replica that follows its primary at a distance never comes closer to what is
 * wanted at the time.
 */
static Position
bounds_goal(const Requirement *requirement, TimestampTz deadline, Position wanted)
{
	int64		deadline_us = node_clock_us() + (deadline - GetCurrentTimestamp());
	Position	then;

	if (requirement->max_staleness_ms >= 0 &&
		node_freshness_position(deadline_us - requirement->max_staleness_ms * INT64CONST(1000),
								&then))
		return position_max(wanted, then);
	return wanted;
}

/*
 * What did the primary have at some time, at most?  A primary that was replaced
 * doesn't know, and this replica may be the first to notice.
 */
static bool
heartbeat_since(int64 since_us, Position *position)
{
	TimeLineID	tli;

	if (!node_freshness_position(since_us, position))
		return false;
	(void) GetXLogReplayRecPtr(&tli);
	if (position->tli >= tli)
		return true;
	node_freshness_follow_timeline();
	return false;
}

/*
 * Have the primary asked where it is, and wait for the answer, or for as long
 * as is sensible at a time.
 */
static MeetFailure
await_heartbeat(int64 since_us, TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	if (left <= 0)
		return MEET_NO_HEARTBEAT;
	if (!node_state_primary_declared())
	{
		/* Was one declared, and the monitor doesn't know yet? */
		if (node_catalog_servers() == NIL)
			return MEET_NO_HEARTBEAT;
		node_state_request();
	}
	node_freshness_request(since_us);
	(void) node_freshness_wait(since_us, Min(left, FRESHNESS_NAP));
	return MEET_OK;
}

/* Wait for a position that the session has seen: that it was lost is an error. */
static MeetFailure
await_replay(Position position, TimestampTz deadline, bool may_give_up)
{
	ReplayGoal	goal = replay_goal(position, deadline);
	MeetFailure failure;
	TimeLineID	tli;
	bool		lost;

	failure = replay_to(position, deadline, may_give_up ? &goal : NULL, &lost);
	if (lost)
	{
		(void) GetXLogReplayRecPtr(&tli);
		meet_error_lost(position, tli);
	}
	return failure;
}

/*
 * meet_quorum_position
 *		The nodes of a quorum have told where they are: at a replica, wait to get
 *		there, until some time.  goal: that, by the read's deadline.
 *
 * That the position was lost meanwhile is no news to a session that hasn't seen
 * it: the caller looks, and asks the nodes again.
 */
MeetFailure
meet_quorum_position(const Requirement *requirement, const ReplayGoal *goal, TimestampTz until)
{
	Position	position = requirement->read_quorum.position;
	bool		lost;

	if (RecoveryInProgress())
		return replay_to(position, until, requirement->may_give_up ? goal : NULL, &lost);
	return position.tli > GetWALInsertionTimeLine() ? MEET_DEPOSED : MEET_OK;
}

/*
 * Wait for a position, which may turn out to have been lost.  NULL for the goal:
 * don't give up.
 */
static MeetFailure
replay_to(Position position, TimestampTz until, const ReplayGoal *goal, bool *lost)
{
	*lost = false;
	switch (replay_wait(position, until, goal))
	{
		case REPLAY_GIVEN_UP:
			return MEET_GIVEN_UP;
		case REPLAY_TIMED_OUT:
		case REPLAY_CANCELED:
			return MEET_REPLAY_BEHIND;
		case REPLAY_LOST:
			*lost = true;
			break;
		case REPLAY_BLOCKED_BY_US:
			return blocked(goal != NULL);
		case REPLAY_REACHED:
		case REPLAY_ENDED:
			break;
	}
	return MEET_OK;
}

/*
 * Replay waits for what this session holds.  That goes with the statement, if it
 * is all there is of its transaction: then the primary may serve it.
 */
static MeetFailure
blocked(bool may_give_up)
{
	if (may_give_up && !IsTransactionBlock())
		return MEET_GIVEN_UP;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("replay waits for this session while this session waits for replay"),
			 errhint("Retry the transaction: what it holds is released, and replay can go on.")));
}

/*
 * Does a snapshot that was taken at a replica, perhaps before it was promoted,
 * show what is required, which new ones do?  "seen": what replay had reached
 * before the snapshot was taken.
 */
static bool
snapshot_holds(const Requirement *requirement, Snapshot snapshot, Position seen)
{
	if (snapshot_is_current(snapshot))
		return true;
	return !requirement->leader && !position_is_set(requirement->position_here) &&
		!position_before(seen, requirement->read_quorum.position) &&
		!position_is_set(requirement->older_here) && bounds_hold_since(requirement, seen);
}

/* Does a snapshot of a replica show what a new one would? */
static bool
snapshot_is_current(Snapshot snapshot)
{
	static SnapshotData now = {.snapshot_type = SNAPSHOT_MVCC};

	GetSnapshotData(&now);
	return now.takenDuringRecovery && now.xmin == snapshot->xmin && now.xmax == snapshot->xmax &&
		now.suboverflowed == snapshot->suboverflowed && now.subxcnt == snapshot->subxcnt &&
		(now.subxcnt == 0 ||
		 memcmp(now.subxip, snapshot->subxip, now.subxcnt * sizeof(TransactionId)) == 0);
}

/* Do the bounds hold for a snapshot that shows at least this position? */
static bool
bounds_hold_since(const Requirement *requirement, Position reached)
{
	int64		since_us;
	Position	wanted;

	if (!requirement_has_bounds(requirement))
		return true;
	return bounds_position(requirement, node_clock_us(), &since_us, &wanted) &&
		!position_before(reached, wanted);
}

/* New snapshots show what the session has seen elsewhere, and nodes have told, by then. */
static void
elsewhere_holds_here(Requirement *requirement)
{
	session_elsewhere_holds_here(requirement->position_here, requirement->older_here);
	requirement->read_quorum.holds_here = requirement->read_quorum.gathered > 0;
}

/*
 * Up to where must the barrier make commits visible?  A standby may have shown
 * all that was flushed.
 */
static XLogRecPtr
barrier_bound(const Requirement *requirement)
{
	return requirement->leader ? GetFlushRecPtr(NULL) :
		Max(requirement->position_here.lsn, requirement->read_quorum.shown.lsn);
}

static void
note_replay(void)
{
	if (RecoveryInProgress())
		replay_seen.lsn = GetXLogReplayRecPtr(&replay_seen.tli);
}
