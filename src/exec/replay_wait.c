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
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/wait_event.h"

#include "core/compat.h"
#include "core/wait_event.h"
#include "exec/replay_wait.h"
#include "requirement/timeline.h"

/* naps while waiting, milliseconds */
#define REPLAY_NAP_MIN 1
#define REPLAY_NAP_MAX 5

/* the part of a wait event that tells its class */
#define WAIT_EVENT_CLASS 0xFF000000U

static TimelineVerdict judge(Position position, bool *reached);
static bool replay_waits_for_us(void);
static bool startup_waits_for_our_lock(PGPROC *startup);

/*
 * replay_wait
 *		Wait until replay has reached a position, at most until the deadline.
 *
 * The caller should hold no snapshot if it can help it.
 */
ReplayWaitResult
replay_wait(Position position, TimestampTz deadline)
{
	int			nap_ms = REPLAY_NAP_MIN;
	TimestampTz blocked_since = 0;

	for (;;)
	{
		TimestampTz now;
		bool		reached;

		if (!RecoveryInProgress())
			return REPLAY_ENDED;
		if (judge(position, &reached) == TIMELINE_LOST)
			return REPLAY_LOST;
		if (reached)
			return REPLAY_REACHED;

		now = GetCurrentTimestamp();
		if (now >= deadline)
			return REPLAY_TIMED_OUT;

		/* Short conflicts resolve themselves. */
		if (!replay_waits_for_us())
			blocked_since = 0;
		else if (blocked_since == 0)
			blocked_since = now;
		else if (TimestampDifferenceExceeds(blocked_since, now, DeadlockTimeout))
			return REPLAY_BLOCKED_BY_US;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 nap_ms, wait_event_replay());
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		nap_ms = Min(nap_ms + 1, REPLAY_NAP_MAX);
	}
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

/*
 * replay_waits_for_us
 *		Is the startup process waiting for a lock or a snapshot of ours?
 *
 * Its wait event is read without a lock, as pg_stat_activity does.
 */
static bool
replay_waits_for_us(void)
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

		/* Only what has a snapshot pins buffers: an open cursor. */
		if (event == WAIT_EVENT_RECOVERY_CONFLICT_SNAPSHOT ||
			event == WAIT_EVENT_RECOVERY_CONFLICT_TABLESPACE ||
			(event & WAIT_EVENT_CLASS) == COMPAT_WAIT_BUFFER_PIN)
			return TransactionIdIsValid(MyProc->xmin);
	}
	return false;
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
