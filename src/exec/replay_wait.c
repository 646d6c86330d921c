/*-------------------------------------------------------------------------
 *
 * replay_wait.c
 *	  Waiting until this replica has replayed up to a position.
 *
 * Nobody wakes a backend when replay moves (before PostgreSQL 19), so we look
 * again after short naps.
 *
 * Replay may have to wait for us: for a lock that we hold, or because our
 * snapshot still needs rows that a record to be replayed removes.  Then both
 * sides would wait, until max_standby_streaming_delay has PostgreSQL cancel
 * us, which it may be told never to do.  The caller gives up its snapshot
 * where it can; what is left is watched for here.
 *
 * Where the read could run at the primary instead, a wait that won't end in time
 * isn't waited out.  How fast replay is shows only by waiting for a while:
 * replay_pace.c judges by looks some time apart, and two of them must agree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "utils/wait_event.h"

#include "core/compat.h"
#include "core/wait_event.h"
#include "core/weaken.h"
#include "exec/replay_pace.h"
#include "exec/replay_wait.h"
#include "node/node_freshness.h"
#include "node/node_state.h"
#include "requirement/timeline.h"

/* naps while waiting, milliseconds */
#define REPLAY_NAP_MIN 1
#define REPLAY_NAP_MAX 5

/* time between two looks at the pace: a part of the timeout, at least so long */
#define LOOK_PART 50
#define LOOK_MIN_US INT64CONST(20000)

/* so many looks must agree */
#define LOOKS_TO_AGREE 2

/* what a wait that was given up has seen serves another one for so long */
#define WATCH_KEEPS_US INT64CONST(1000000)

/* the part of a wait event that tells its class */
#define WAIT_EVENT_CLASS 0xFF000000U

/* What is seen of replay in a wait that may be given up */
static struct
{
	TimestampTz began;			/* tells which wait; 0: there was none */
	TimestampTz given_up_at;	/* when the one before was; 0: it wasn't */
	ReplayPace	pace;
	int			agreeing;		/* looks in a row that spoke against waiting */
	bool		delaying;		/* replay was seen to wait for its delay since
								 * the last look, */
	bool		delaying_before;	/* or between that one and the one before */
	ReplayVerdict verdict;		/* why this one was given up, or
								 * REPLAY_MAY_ARRIVE */
}			watch;

static bool is_hopeless(const ReplayGoal *goal, TimestampTz now);
static void begin_watch(const ReplayGoal *goal, TimestampTz now);
static bool look_is_due(const ReplayGoal *goal, TimestampTz now);
static ReplayLook look_at_replay(TimestampTz now);
static ReplayObstacles find_obstacles(const ReplayGoal *goal, TimestampTz now);
static bool is_too_young(const ReplayGoal *goal, TimestampTz now);
static bool replay_is_delaying(void);
static bool is_cancelled_in_vain(void);
static TimelineVerdict judge(Position position, bool *reached);
static bool replay_waits_for_us(XLogRecPtr replayed, bool since_start);
static bool conflict_is_older(XLogRecPtr replayed);
static bool startup_waits_for_our_lock(PGPROC *startup);

/* A wait begins that may be given up. */
ReplayGoal
replay_goal(Position position, TimestampTz deadline)
{
	watch.verdict = REPLAY_MAY_ARRIVE;
	return (ReplayGoal)
	{
		position, GetCurrentTimestamp(), deadline
	};
}

/*
 * replay_wait
 *		Wait until replay has reached a position, at most until some time.
 *
 * "goal": what must be reached for the wait to make any sense, which can be
 * further away; NULL: don't give up.  The caller should hold no snapshot if it
 * can help it.  A cancel is an error, or ends the wait where interrupts are held
 * off: in a commit, say.
 */
ReplayWaitResult
replay_wait(Position position, TimestampTz until, const ReplayGoal *goal)
{
	int			nap_ms = REPLAY_NAP_MIN;
	TimestampTz blocked_since = 0;
	XLogRecPtr	start = GetXLogReplayRecPtr(NULL);

	for (;;)
	{
		TimestampTz now;
		XLogRecPtr	replayed;
		bool		reached;

		if (!RecoveryInProgress())
			return REPLAY_ENDED;
		if (judge(position, &reached) == TIMELINE_LOST)
			return REPLAY_LOST;
		if (reached || weakened(MECHANISM_REPLAY_WAIT))
			return REPLAY_REACHED;

		now = GetCurrentTimestamp();
		if (now >= until || is_cancelled_in_vain())
			return REPLAY_TIMED_OUT;
		if (goal && is_hopeless(goal, now))
			return REPLAY_GIVEN_UP;

		/* Short conflicts resolve themselves. */
		replayed = GetXLogReplayRecPtr(NULL);
		if (!replay_waits_for_us(replayed, replayed == start))
			blocked_since = 0;
		else if (blocked_since == 0)
			blocked_since = now;
		else if (TimestampDifferenceExceeds(blocked_since, now, DeadlockTimeout))
			return REPLAY_BLOCKED_BY_US;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 nap_ms, wait_event_replay());
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (InterruptHoldoffCount > 0 && (QueryCancelPending || ProcDiePending))
			return REPLAY_CANCELED;

		/*
		 * Replay of DROP DATABASE waits for all to close files, held off or
		 * not.
		 */
		if (ProcSignalBarrierPending)
			ProcessProcSignalBarrier();
		nap_ms = Min(nap_ms + 1, REPLAY_NAP_MAX);
	}
}

/* Why the wait was given up, in words; of the last one that might have been. */
const char *
replay_wait_reason(void)
{
	return replay_pace_text(watch.verdict);
}

/*
 * While interrupts are held off, nobody is told that he was cancelled; so the
 * wait ends here, and the caller finds out when it lets them in again.
 */
static bool
is_cancelled_in_vain(void)
{
	return InterruptHoldoffCount > 0 && (QueryCancelPending || ProcDiePending);
}

/*
 * is_hopeless
 *		Should the wait be given up, because replay won't get there in time, and
 *		the primary can serve the read?
 */
static bool
is_hopeless(const ReplayGoal *goal, TimestampTz now)
{
	ReplayObstacles obstacles;
	ReplayVerdict verdict;
	NodeInfo	primary;
	bool		due;

	begin_watch(goal, now);
	due = look_is_due(goal, now);
	if (due)
		replay_pace_add(&watch.pace, look_at_replay(now));
	obstacles = find_obstacles(goal, now);
	verdict = replay_pace_judge(&watch.pace, &obstacles, goal->position.lsn, goal->deadline);
	if (due)
	{
		watch.agreeing = verdict == REPLAY_MAY_ARRIVE ? 0 : watch.agreeing + 1;
		if (watch.delaying)
			watch.pace.moved = now;
		watch.delaying_before = watch.delaying;
		watch.delaying = false;
	}

	if (verdict == REPLAY_MAY_ARRIVE ||
		(watch.agreeing < LOOKS_TO_AGREE && !replay_pace_is_certain(verdict)) ||
		!node_state_primary(&primary))
		return false;
	watch.verdict = verdict;
	watch.given_up_at = now;
	return true;
}

/*
 * Begin to watch replay, unless that was done for this wait already.  What
 * another one saw before it was given up, a moment ago, still holds.
 */
static void
begin_watch(const ReplayGoal *goal, TimestampTz now)
{
	bool		goes_on = watch.given_up_at != 0 && now - watch.given_up_at < WATCH_KEEPS_US;

	if (watch.began == goal->began)
		return;
	watch.began = goal->began;
	watch.given_up_at = 0;
	if (goes_on)
		return;
	watch.agreeing = 0;
	watch.delaying = watch.delaying_before = false;
	replay_pace_begin(&watch.pace, look_at_replay(now));
}

/* One that goes on with an earlier wait's looks begins with a new one. */
static bool
look_is_due(const ReplayGoal *goal, TimestampTz now)
{
	int64		interval_us = Max((goal->deadline - goal->began) / LOOK_PART, LOOK_MIN_US);

	if (watch.pace.last.time < goal->began)
		interval_us = LOOK_MIN_US;
	return now - watch.pace.last.time >= interval_us;
}

static ReplayLook
look_at_replay(TimestampTz now)
{
	return (ReplayLook)
	{
		.time = now,
			.replayed = GetXLogReplayRecPtr(NULL),
			.received = GetWalRcvFlushRecPtr(NULL, NULL),
	};
}

/* What holds replay up? */
static ReplayObstacles
find_obstacles(const ReplayGoal *goal, TimestampTz now)
{
	bool		delaying_now = recovery_min_apply_delay > 0 && replay_is_delaying();

	watch.delaying |= delaying_now;
	return (ReplayObstacles)
	{
		.paused = GetRecoveryPauseState() == RECOVERY_PAUSED,
			.delaying = watch.delaying || watch.delaying_before,
			.too_young = delaying_now && is_too_young(goal, now),
			.receiving = WalRcvStreaming(),
	};
}

/*
 * Was what is wanted written so late that recovery_min_apply_delay lets it be
 * replayed after the deadline only?
 *
 * The heartbeats know which position the primary had when, by our own clock.
 */
static bool
is_too_young(const ReplayGoal *goal, TimestampTz now)
{
	int64		left_us = goal->deadline - now;
	int64		since_us = node_clock_us() + left_us - recovery_min_apply_delay * INT64CONST(1000);
	Position	enough;

	return node_freshness_position(since_us, &enough) &&
		position_before(enough, goal->position);
}

/* Where does the position stand, and has replay reached it? */
static TimelineVerdict
judge(Position position, bool *reached)
{
	TimeLineID	tli;
	XLogRecPtr	replayed = GetXLogReplayRecPtr(&tli);
	TimelineVerdict verdict = timeline_judge(position, tli);

	/* A timeline that is ahead we may follow yet. */
	*reached = (verdict == TIMELINE_SAME || verdict == TIMELINE_PAST) &&
		replayed >= position.lsn;
	return verdict;
}

/* Does the startup process wait for recovery_min_apply_delay to pass? */
static bool
replay_is_delaying(void)
{
	for (int i = 0; i < NUM_AUXILIARY_PROCS; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[MaxBackends + i];

		if (proc->pid != 0 &&
			*(volatile uint32 *) &proc->wait_event_info == WAIT_EVENT_RECOVERY_APPLY_DELAY)
			return true;
	}
	return false;
}

/*
 * replay_waits_for_us
 *		Is the startup process waiting for a lock or a snapshot of ours?
 *
 * Whose snapshot is in its way must end its transaction: to have given the
 * snapshot back meanwhile doesn't help.  Who that is can't be seen.  It may be us
 * if replay hasn't moved since our wait began (since_start), unless it stood there
 * before our transaction did.
 *
 * Its wait event is read without a lock, as pg_stat_activity does; "replayed" was
 * read before.
 */
static bool
replay_waits_for_us(XLogRecPtr replayed, bool since_start)
{
	for (int i = 0; i < NUM_AUXILIARY_PROCS; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[MaxBackends + i];
		uint32		event = *(volatile uint32 *) &proc->wait_event_info;

		if (proc->pid == 0)
			continue;

		/* No other auxiliary process takes locks or resolves conflicts. */
		if ((event & WAIT_EVENT_CLASS) == PG_WAIT_LOCK)
			return startup_waits_for_our_lock(proc);

		if (event == WAIT_EVENT_RECOVERY_CONFLICT_SNAPSHOT ||
			event == WAIT_EVENT_RECOVERY_CONFLICT_TABLESPACE)
			return !conflict_is_older(replayed) &&
				(TransactionIdIsValid(MyProc->xmin) ||
				 (since_start && LocalTransactionIdIsValid(COMPAT_MY_LXID)));

		/* Only what has a snapshot pins buffers: an open cursor. */
		if ((event & WAIT_EVENT_CLASS) == COMPAT_WAIT_BUFFER_PIN)
			return TransactionIdIsValid(MyProc->xmin);
	}
	return false;
}

/*
 * conflict_is_older
 *		Has an earlier transaction of this session seen replay wait for snapshots
 *		at this record already?
 *
 * Whose they are is settled when that wait begins: so they aren't ours, and who is
 * told to retry isn't told so again as long as another session holds replay up.
 */
static bool
conflict_is_older(XLogRecPtr replayed)
{
	static XLogRecPtr seen_at = InvalidXLogRecPtr;
	static LocalTransactionId seen_by = InvalidLocalTransactionId;

	/* Gone on meanwhile: what it waited for may have been the record before. */
	if (GetXLogReplayRecPtr(NULL) != replayed)
		return false;
	if (seen_at != replayed)
	{
		seen_at = replayed;
		seen_by = COMPAT_MY_LXID;
	}
	return seen_by != COMPAT_MY_LXID;
}

/*
 * The lock that the startup process waits for may change under us, but locks
 * never leave the shared hash table's memory: at worst we compare a tag that
 * is no longer, or not quite, the right one, and look again after a nap.
 */
static bool
startup_waits_for_our_lock(PGPROC *startup)
{
	LOCK	   *lock = *(LOCK *volatile *) &startup->waitLock;
	LOCKTAG		tag;

	if (lock == NULL)
		return false;
	tag = lock->tag;
	for (LOCKMODE mode = AccessShareLock; mode <= MaxLockMode; mode++)
	{
		if (COMPAT_LOCK_HELD_BY_ME(&tag, mode))
			return true;
	}
	return false;
}
