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
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/guc.h"
#include "exec/meet.h"
#include "exec/replay_wait.h"
#include "node/node_catalog.h"
#include "node/node_freshness.h"
#include "node/node_state.h"
#include "requirement/barrier.h"
#include "requirement/fence.h"
#include "requirement/timeline.h"
#include "session/session.h"
#include "stats/violations.h"

/* how long to wait at a time before looking at the heartbeats again, ms */
#define FRESHNESS_NAP 50

/*
 * What replay had reached when this session last looked: every snapshot taken
 * since then shows at least that.
 */
static Position replay_seen;

/*
 * The transaction whose snapshot, which it keeps, was found to be good, or was
 * taken after a wait.
 */
static LocalTransactionId checked_transaction = InvalidLocalTransactionId;

static MeetFailure meet_before_barrier(const Requirement *requirement, TimestampTz deadline);
static MeetFailure meet_at_replica(const Requirement *requirement, TimestampTz deadline);
static MeetFailure meet_bounds(const Requirement *requirement, TimestampTz deadline);
static bool bounds_position(const Requirement *requirement, int64 began_us, int64 *since_us,
							Position *position);
static bool heartbeat_since(int64 since_us, int64 began_us, Position *position);
static MeetFailure await_heartbeat(int64 since_us, TimestampTz deadline);
static MeetFailure await_replay(Position position, TimestampTz deadline);
static bool bounds_hold_since(const Requirement *requirement, Position reached);
static MeetFailure meet_leader(const Requirement *requirement, TimestampTz deadline);
static bool is_deposed(const Requirement *requirement);
static void warn_unfenced(void);
static void check_timeline(Position position);
static XLogRecPtr barrier_bound(const Requirement *requirement);
static void note_replay(void);

/* Must this server do something before it may serve a read? */
bool
meet_is_pending(const Requirement *requirement)
{
	return requirement_is_pending(requirement, RecoveryInProgress()) || is_deposed(requirement);
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
meet_requirement(const Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure = meet_before_barrier(requirement, deadline);

	if (failure != MEET_OK || RecoveryInProgress())
		return failure;
	if (!barrier_wait(barrier_bound(requirement), deadline))
		return MEET_NOT_VISIBLE;
	session_elsewhere_holds_here(requirement->position_here);
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
meet_for_transaction(const Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure;

	if (!requirement->prefix || RecoveryInProgress())
		failure = meet_requirement(requirement, deadline);
	else
	{
		failure = meet_before_barrier(requirement, deadline);
		if (failure == MEET_OK &&
			!barrier_fix_snapshot(barrier_bound(requirement), deadline))
			failure = MEET_NOT_VISIBLE;
		if (failure == MEET_OK)
			session_elsewhere_holds_here(requirement->position_here);
	}
	checked_transaction = COMPAT_MY_LXID;
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
meet_with_new_snapshot(const Requirement *requirement, TimestampTz deadline, Snapshot *snapshot)
{
	MeetFailure failure = meet_before_barrier(requirement, deadline);

	if (failure == MEET_OK && !RecoveryInProgress())
	{
		*snapshot = barrier_snapshot(barrier_bound(requirement), deadline);
		if (*snapshot != NULL)
		{
			session_elsewhere_holds_here(requirement->position_here);
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
 * On a primary the snapshot may be behind the barrier as it is.  On a replica
 * there is no telling, unless this session had looked before it took the
 * snapshot; but after the error a retry finds what it needs.
 */
MeetFailure
meet_with_fixed_snapshot(const Requirement *requirement, TimestampTz deadline, Snapshot snapshot)
{
	Position	seen = replay_seen;
	MeetFailure failure;
	bool		good;

	/* A transaction's snapshot is as good for its later statements. */
	if (!position_is_set(requirement->position_here) &&
		checked_transaction == COMPAT_MY_LXID)
		return MEET_OK;

	failure = meet_before_barrier(requirement, deadline);
	if (failure != MEET_OK)
		return failure;

	if (RecoveryInProgress())
		good = !position_is_set(requirement->position_here) && bounds_hold_since(requirement, seen);
	else
		good = barrier_is_behind(snapshot, barrier_bound(requirement), requirement->prefix, deadline);
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the transaction's snapshot may be older than its consistency allows"),
				 errhint("Retry the transaction: this server is ready for it now.")));
	checked_transaction = COMPAT_MY_LXID;
	session_elsewhere_holds_here(requirement->position_here);
	return MEET_OK;
}

/* Meet all of it but the barrier. */
static MeetFailure
meet_before_barrier(const Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure = meet_at_replica(requirement, deadline);

	if (failure != MEET_OK || RecoveryInProgress())
		return failure;
	failure = meet_leader(requirement, deadline);
	if (failure == MEET_OK)
		check_timeline(requirement->position_here);
	return failure;
}

/* The part that only a replica has to do; nothing at a primary. */
static MeetFailure
meet_at_replica(const Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure;

	if (!RecoveryInProgress())
		return MEET_OK;
	if (requirement->leader)
		return MEET_NOT_PRIMARY;

	if (position_is_set(requirement->position_here))
	{
		failure = await_replay(requirement->position_here, deadline);
		if (failure != MEET_OK)
			return failure;
		session_elsewhere_holds_here(requirement->position_here);
	}
	failure = meet_bounds(requirement, deadline);
	note_replay();
	return failure;
}

/* Wait until this replica misses no more than the bounds allow. */
static MeetFailure
meet_bounds(const Requirement *requirement, TimestampTz deadline)
{
	int64		began_us = node_clock_us();

	if (requirement->max_staleness_ms < 0 && requirement->max_lag < 0)
		return MEET_OK;

	for (;;)
	{
		TimestampTz nap_end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FRESHNESS_NAP);
		Position	wanted;
		int64		since_us;
		MeetFailure failure;

		if (!RecoveryInProgress())
			return MEET_OK;
		if (!bounds_position(requirement, began_us, &since_us, &wanted))
		{
			failure = await_heartbeat(since_us, deadline);
			if (failure != MEET_OK)
				return failure;
			continue;
		}

		/* What is wanted moves with time: look again now and then. */
		if (await_replay(wanted, Min(nap_end, deadline)) == MEET_OK)
			return MEET_OK;
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
		if (!heartbeat_since(*since_us, began_us, position))
			return false;
	}
	if (requirement->max_lag >= 0)
	{
		*since_us = began_us;
		if (!heartbeat_since(*since_us, began_us, &latest))
			return false;
		latest.lsn = latest.lsn > requirement->max_lag ? latest.lsn - requirement->max_lag : 1;
		*position = position_max(*position, latest);
	}
	return true;
}

/*
 * What did the primary have at some time, at most?  An answer of a primary that
 * was since replaced doesn't count, if it was beyond what its successor kept.
 */
static bool
heartbeat_since(int64 since_us, int64 began_us, Position *position)
{
	TimeLineID	tli;

	(void) GetXLogReplayRecPtr(&tli);
	if (!node_freshness_position(since_us, position))
		return false;
	if (!RecoveryInProgress() || timeline_judge(*position, tli) != TIMELINE_LOST)
		return true;
	return node_freshness_position(began_us, position) &&
		timeline_judge(*position, tli) != TIMELINE_LOST;
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

static MeetFailure
await_replay(Position position, TimestampTz deadline)
{
	switch (replay_wait(position, deadline))
	{
		case REPLAY_TIMED_OUT:
			return MEET_REPLAY_BEHIND;
		case REPLAY_BLOCKED_BY_US:
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("replay waits for this session while this session waits for replay"),
					 errhint("Retry the transaction: what it holds is released, and replay can go on.")));
		case REPLAY_REACHED:
		case REPLAY_ENDED:
			break;
	}
	return MEET_OK;
}

/* Do the bounds hold for a snapshot that shows at least this position? */
static bool
bounds_hold_since(const Requirement *requirement, Position reached)
{
	int64		since_us;
	Position	wanted;

	if (requirement->max_staleness_ms < 0 && requirement->max_lag < 0)
		return true;
	return bounds_position(requirement, node_clock_us(), &since_us, &wanted) &&
		!position_before(reached, wanted);
}

/* Make sure that this server is the primary, as far as that can be had. */
static MeetFailure
meet_leader(const Requirement *requirement, TimestampTz deadline)
{
	if (is_deposed(requirement))
		return MEET_DEPOSED;
	if (!requirement->leader)
		return MEET_OK;

	if (fence_is_possible())
		return fence_wait(deadline) ? MEET_OK : MEET_NOT_CONFIRMED;
	if (guc_require_leader_fence)
		return MEET_NO_FENCE;
	warn_unfenced();
	return MEET_OK;
}

/*
 * Has this primary heard of one that replaced it?  That matters to a read for
 * which the primary is fresh by nature.
 */
static bool
is_deposed(const Requirement *requirement)
{
	Position	newer;

	return (requirement->leader || requirement->max_staleness_ms >= 0 || requirement->max_lag >= 0) &&
		!RecoveryInProgress() && node_state_deposed(&newer);
}

/* The promise holds only while no failover happens: say so once a session. */
static void
warn_unfenced(void)
{
	static bool warned = false;

	violations_count(VIOLATION_UNFENCED_READ);
	if (warned)
		return;
	warned = true;
	ereport(WARNING,
			(errmsg("linearizable reads hold only while no failover happens"),
			 errdetail("There is no synchronous standby to confirm that this server is still the primary."),
			 errhint("Set synchronous_standby_names; or turn consistency.require_leader_fence on to have such reads fail.")));
}

/* Raise an error if the position isn't in the history of this primary. */
static void
check_timeline(Position position)
{
	TimeLineID	tli = GetWALInsertionTimeLine();

	if (!position_is_set(position))
		return;
	switch (timeline_judge(position, tli))
	{
		case TIMELINE_SAME:
		case TIMELINE_PAST:
			break;
		case TIMELINE_LOST:
			violations_count(VIOLATION_LOST_POSITION);
			timeline_error_lost(position, tli);
		case TIMELINE_AHEAD:
			timeline_error_ahead(position, tli);
	}
}

/*
 * Up to where must the barrier make commits visible?  A standby may have shown
 * all that was flushed.
 */
static XLogRecPtr
barrier_bound(const Requirement *requirement)
{
	return requirement->leader ? GetFlushRecPtr(NULL) : requirement->position_here.lsn;
}

static void
note_replay(void)
{
	if (RecoveryInProgress())
		replay_seen.lsn = GetXLogReplayRecPtr(&replay_seen.tli);
}
