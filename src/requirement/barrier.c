/*-------------------------------------------------------------------------
 *
 * barrier.c
 *	  The visibility barrier of a primary.
 *
 * A primary shows a commit when its backend leaves the ProcArray: after the
 * commit record was written and flushed and after the wait for synchronous
 * standbys.  A standby shows it as soon as the record is replayed, which can
 * be much earlier.  So the primary shows commits in another order than the log
 * has them, and the standbys: a session that comes from a standby could move
 * backwards at the primary (no LSN tells, for the primary's is always higher),
 * and two sessions could see two commits in opposite order (the long fork).
 *
 * Two things can be asked of a snapshot, then:
 *
 * - That it shows every commit up to a position which a standby can have
 *	 shown.  All that any standby can have shown was flushed here before, so the
 *	 flush position stands for everything.
 *
 * - That it is a prefix of the log: it shows no commit without those before.
 *	 That is the first demand for the end of the last commit that it shows.
 *
 * What a standby can have shown by now was flushed here by now.  Its backend
 * is then in one of three states, in this order:
 *
 *   1. in the commit's critical section (DELAY_CHKPT_START), from before the
 *      record is inserted until the transaction is committed in clog;
 *   2. committed in clog, still in the ProcArray, perhaps waiting for a
 *      synchronous standby;
 *   3. out of the ProcArray, and visible to every snapshot taken from then on.
 *
 * So: wait until those that are in state 1 now have left it; then look up
 * those that a snapshot takes for running, and wait for those that clog calls
 * committed to reach state 3; except for those whose record is known to lie
 * beyond what is asked for (commits.h).  Therefore newcomers can't draw the
 * wait out.
 *
 * Mostly nothing is being committed.  Two reads of a shared word, one before
 * the snapshot and one behind, tell so: commits.h.
 *
 * The critical section may cover two-phase commits as well: COMMIT PREPARED
 * sets the same flag, and its dummy process stays in the ProcArray meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/wait_event.h"
#include "requirement/barrier.h"
#include "session/commits.h"

/* naps while waiting, microseconds: begin short, as most waits are */
#define BARRIER_NAP_MIN 50
#define BARRIER_NAP_MAX 10000

static Snapshot find_snapshot(Snapshot (*take) (void), XLogRecPtr upto, TimestampTz deadline);
static Snapshot probe_snapshot(void);
static bool wait_for_committing(XLogRecPtr upto, TimestampTz deadline);
static bool is_committing(int process);
static XLogRecPtr visible_end(Snapshot snapshot, TimestampTz deadline);
static bool may_be_visible(int process, Snapshot snapshot);
static bool wait_for_visible(Snapshot snapshot, XLogRecPtr upto, TimestampTz deadline);
static TransactionId *committed_but_running(Snapshot snapshot, XLogRecPtr upto, int *count);
static bool is_committed_upto(TransactionId xid, XLogRecPtr upto);
static bool nap(int *nap_us, TimestampTz deadline);

/*
 * barrier_wait
 *		Wait until snapshots taken from now on show all commits up to a position
 *		that a standby can have shown before this call.
 *
 * Returns false when the deadline passes first.  Must run on a primary.
 */
bool
barrier_wait(XLogRecPtr upto, TimestampTz deadline)
{
	bool		had_xmin = TransactionIdIsValid(MyProc->xmin);
	bool		done;

	if (commits_word_is_idle(pg_atomic_read_u64(&commits->word)))
		return true;
	if (!wait_for_committing(upto, deadline))
		return false;

	done = wait_for_visible(probe_snapshot(), upto, deadline);
	if (!had_xmin)
		MyProc->xmin = InvalidTransactionId;
	return done;
}

/*
 * barrier_snapshot
 *		Take the transaction's next snapshot, one that is a prefix of the log
 *		and shows all commits up to a position.
 *
 * Returns NULL when the deadline passes first.  As with
 * GetTransactionSnapshot(), the result is overwritten by the next one.
 */
Snapshot
barrier_snapshot(XLogRecPtr upto, TimestampTz deadline)
{
	return find_snapshot(GetTransactionSnapshot, upto, deadline);
}

/*
 * barrier_fix_snapshot
 *		The same for a transaction that keeps its first snapshot: take that now.
 *
 * Returns false when the deadline passes first.  A transaction of SERIALIZABLE
 * takes its snapshot in its own way; if that isn't good, it has to be retried.
 */
bool
barrier_fix_snapshot(XLogRecPtr upto, TimestampTz deadline)
{
	Snapshot	snapshot = find_snapshot(probe_snapshot, upto, deadline);

	if (snapshot == NULL)
		return false;
	if (!IsolationIsSerializable())
	{
		RestoreTransactionSnapshot(snapshot, MyProc);
		return true;
	}
	if (!barrier_is_behind(GetTransactionSnapshot(), upto, true, deadline))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not take a snapshot in the order of commits"),
				 errhint("Retry the transaction.")));
	return true;
}

/* Take snapshots until one is good; NULL when the deadline passes first. */
static Snapshot
find_snapshot(Snapshot (*take) (void), XLogRecPtr upto, TimestampTz deadline)
{
	for (;;)
	{
		uint64		word = pg_atomic_fetch_add_u64(&commits->word, 0);
		Snapshot	snapshot = take();
		XLogRecPtr	bound;
		int			count;

		pg_memory_barrier();
		if (commits_word_is_idle(word) && pg_atomic_read_u64(&commits->word) == word)
			return snapshot;

		bound = Max(upto, visible_end(snapshot, deadline));
		if (!wait_for_committing(bound, deadline))
			return NULL;
		(void) committed_but_running(snapshot, bound, &count);
		if (count == 0)
			return snapshot;
		if (!wait_for_visible(snapshot, bound, deadline))
			return NULL;
	}
}

/*
 * A snapshot taken not by way of the snapshot manager, for which it could be the
 * first one of a transaction that keeps that.
 */
static Snapshot
probe_snapshot(void)
{
	static SnapshotData probe = {.snapshot_type = SNAPSHOT_MVCC};

	return GetSnapshotData(&probe);
}

/*
 * barrier_is_behind
 *		Does a snapshot that was taken already show all commits up to a position
 *		that a standby can have shown before this call?  And is it a prefix of
 *		the log, if that is asked?
 *
 * Waits only for what can be told in a moment, at most until the deadline.
 */
bool
barrier_is_behind(Snapshot snapshot, XLogRecPtr upto, bool prefix, TimestampTz deadline)
{
	int			count;

	if (prefix)
		upto = Max(upto, visible_end(snapshot, deadline));
	if (!wait_for_committing(upto, deadline))
		return false;
	(void) committed_but_running(snapshot, upto, &count);
	return count == 0;
}

/*
 * Wait until the commits that are in their critical section now have left it,
 * except for those whose record can only lie beyond a position.
 */
static bool
wait_for_committing(XLogRecPtr upto, TimestampTz deadline)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		CommitSlot *slot = &commits->slots[i];
		TransactionId xid = pg_atomic_read_u32(&slot->xid);
		int			nap_us = BARRIER_NAP_MIN;

		if (!TransactionIdIsValid(xid))
			continue;
		pg_read_barrier();
		if (pg_atomic_read_u64(&slot->begin) >= upto)
			continue;
		while (pg_atomic_read_u32(&slot->xid) == xid && is_committing(i))
		{
			if (!nap(&nap_us, deadline))
				return false;
		}
	}
	pg_read_barrier();
	return true;
}

/* Is a process in the critical section of a commit? */
static bool
is_committing(int process)
{
	return (*(volatile int *) &ProcGlobal->allProcs[process].delayChkptFlags &
			DELAY_CHKPT_START) != 0;
}

/*
 * visible_end
 *		An upper bound of the ends of the commits that a snapshot shows.
 *
 * A commit that is visible may not have told its end yet; that takes a moment.
 * After the deadline everything that was flushed stands for it.
 */
static XLogRecPtr
visible_end(Snapshot snapshot, TimestampTz deadline)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		pg_atomic_uint32 *committing = &commits->slots[i].xid;
		TransactionId xid = pg_atomic_read_u32(committing);
		int			nap_us = BARRIER_NAP_MIN;

		while (TransactionIdIsValid(xid) && may_be_visible(i, snapshot) &&
			   pg_atomic_read_u32(committing) == xid)
		{
			if (!nap(&nap_us, deadline))
				return PG_UINT64_MAX;
		}
	}
	pg_read_barrier();
	return pg_atomic_read_u64(&commits->visible_end);
}

/* May a snapshot show what a process is committing? */
static bool
may_be_visible(int process, Snapshot snapshot)
{
	TransactionId xid = pg_atomic_read_u32(&commits->slots[process].xid);

	if (!TransactionIdIsNormal(xid))
		return xid == COMMITS_UNKNOWN_XID && ProcGlobal->allProcs[process].waitLSN == 0;
	return !XidInMVCCSnapshot(xid, snapshot);
}

/* Wait until what a snapshot should have shown is visible to later ones. */
static bool
wait_for_visible(Snapshot snapshot, XLogRecPtr upto, TimestampTz deadline)
{
	int			count;
	TransactionId *xids = committed_but_running(snapshot, upto, &count);

	for (int i = 0; i < count; i++)
	{
		int			nap_us = BARRIER_NAP_MIN;

		/* Its LSN may be known by now, and be beyond. */
		while (is_committed_upto(xids[i], upto) && TransactionIdIsInProgress(xids[i]))
		{
			if (!nap(&nap_us, deadline))
				return false;
		}
	}
	return true;
}

/*
 * committed_but_running
 *		Transactions that a snapshot takes for running though clog calls them
 *		committed, unless they end beyond a position; palloc'd, NULL when there
 *		are none.
 *
 * A snapshot lists those below its xmax, which is just above the highest that
 * has completed.  Whatever is above counts as running without being listed.
 */
static TransactionId *
committed_but_running(Snapshot snapshot, XLogRecPtr upto, int *count)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId *xids = NULL;
	int			allocated = snapshot->xcnt + (int) (next - snapshot->xmax);

	*count = 0;
	if (allocated <= 0)
		return NULL;
	xids = palloc(sizeof(TransactionId) * allocated);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
	{
		if (is_committed_upto(snapshot->xip[i], upto))
			xids[(*count)++] = snapshot->xip[i];
	}
	for (TransactionId xid = snapshot->xmax; TransactionIdPrecedes(xid, next);)
	{
		if (is_committed_upto(xid, upto))
			xids[(*count)++] = xid;
		TransactionIdAdvance(xid);
	}
	return xids;
}

/* Is it committed, and not known to end beyond the position? */
static bool
is_committed_upto(TransactionId xid, XLogRecPtr upto)
{
	return TransactionIdDidCommit(xid) && commits_end_of(xid) <= upto;
}

/* Sleep a little, longer each time; false when the deadline has passed. */
static bool
nap(int *nap_us, TimestampTz deadline)
{
	if (GetCurrentTimestamp() >= deadline)
		return false;
	if (*nap_us < 1000)
		pg_usleep(*nap_us);
	else
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 *nap_us / 1000, wait_event_barrier());
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
	*nap_us = Min(*nap_us * 2, BARRIER_NAP_MAX);
	return true;
}
