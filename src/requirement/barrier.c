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
 * wait out.  Thereafter that snapshot gets to show them, and nothing else.
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

#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "core/weaken.h"
#include "requirement/barrier.h"
#include "session/commits.h"

/* naps while waiting, microseconds: begin short, as most waits are */
#define BARRIER_NAP_MIN 50
#define BARRIER_NAP_MAX 10000

/* A commit that a snapshot doesn't show */
typedef struct HiddenCommit
{
	TransactionId xid;
	XLogRecPtr	end;			/* of its record; 0: not known (yet) */
} HiddenCommit;

typedef struct HiddenCommits
{
	HiddenCommit *commits;		/* palloc'd */
	int			count;
	TransactionId next;			/* beyond all their subtransactions */
} HiddenCommits;

static Snapshot find_snapshot(Snapshot (*take) (void), XLogRecPtr upto, TimestampTz deadline);
static Snapshot probe_snapshot(void);
static bool wait_for_committing(XLogRecPtr upto, TimestampTz deadline);
static bool is_committing(int process);
static XLogRecPtr visible_end(Snapshot snapshot, TimestampTz deadline);
static bool may_be_visible(int process, Snapshot snapshot);
static HiddenCommits find_hidden(Snapshot snapshot, XLogRecPtr upto);
static void add_hidden(HiddenCommits *hidden, TransactionId xid, XLogRecPtr upto);
static bool wait_for_hidden(HiddenCommits *hidden, XLogRecPtr upto, TimestampTz deadline);
static bool is_settled(HiddenCommit *commit);
static bool show_hidden(Snapshot snapshot, const HiddenCommits *hidden);
static bool raise_xmax(Snapshot snapshot, const HiddenCommits *hidden);
static bool is_hidden(const HiddenCommits *hidden, TransactionId xid);

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
	HiddenCommits hidden;
	bool		done;

	if (weakened(MECHANISM_BARRIER) ||
		commits_word_is_idle(pg_atomic_read_u64(&commits->word)))
		return true;
	if (!wait_for_committing(upto, deadline))
		return false;

	hidden = find_hidden(probe_snapshot(), upto);
	done = wait_for_hidden(&hidden, upto, deadline);
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

/*
 * find_snapshot
 *		Take a snapshot and make it good; NULL when the deadline passes first.
 *
 * While some commits wait for a synchronous standby and others don't, what is
 * visible is never a prefix of the log.  So no other snapshot is taken after
 * the wait: the one there is gets to show what was waited for, and goes on
 * hiding what was committed since.  Only if it isn't known of some commit
 * where it ended, another one is tried.
 */
static Snapshot
find_snapshot(Snapshot (*take) (void), XLogRecPtr upto, TimestampTz deadline)
{
	for (;;)
	{
		uint64		word = pg_atomic_fetch_add_u64(&commits->word, 0);
		Snapshot	snapshot = take();
		XLogRecPtr	bound;
		HiddenCommits hidden;

		pg_memory_barrier();
		if (weakened(MECHANISM_BARRIER) ||
			(commits_word_is_idle(word) && pg_atomic_read_u64(&commits->word) == word))
			return snapshot;

		bound = Max(upto, visible_end(snapshot, deadline));
		if (!wait_for_committing(bound, deadline))
			return NULL;
		hidden = find_hidden(snapshot, bound);
		if (!wait_for_hidden(&hidden, bound, deadline))
			return NULL;
		if (show_hidden(snapshot, &hidden))
			return snapshot;
		CHECK_FOR_INTERRUPTS();
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
	if (weakened(MECHANISM_BARRIER))
		return true;
	if (prefix)
		upto = Max(upto, visible_end(snapshot, deadline));
	return wait_for_committing(upto, deadline) && find_hidden(snapshot, upto).count == 0;
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
			if (!nap(&nap_us, BARRIER_NAP_MAX, deadline, wait_event_barrier()))
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
			if (!nap(&nap_us, BARRIER_NAP_MAX, deadline, wait_event_barrier()))
				return PG_UINT64_MAX;
		}
	}
	pg_read_barrier();
	return pg_atomic_read_u64(&commits->visible_end);
}

/*
 * May a snapshot that was taken show what a process is committing?
 *
 * Not if that still waits for a synchronous standby.
 */
static bool
may_be_visible(int process, Snapshot snapshot)
{
	TransactionId xid = pg_atomic_read_u32(&commits->slots[process].xid);

	if (!TransactionIdIsValid(xid) || commits_waits_for_standby(process))
		return false;
	return xid == COMMITS_UNKNOWN_XID || !XidInMVCCSnapshot(xid, snapshot);
}

/*
 * find_hidden
 *		Transactions that a snapshot takes for running though clog calls them
 *		committed, except for those known to end beyond a position.
 *
 * A snapshot lists those below its xmax, which is just above the highest that
 * has completed.  Whatever is above counts as running without being listed.
 */
static HiddenCommits
find_hidden(Snapshot snapshot, XLogRecPtr upto)
{
	TransactionId next = ReadNextTransactionId();
	HiddenCommits hidden = {.next = next};
	int			most = snapshot->xcnt + (int) (next - snapshot->xmax);

	if (most <= 0)
		return hidden;
	hidden.commits = palloc(sizeof(HiddenCommit) * most);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		add_hidden(&hidden, snapshot->xip[i], upto);
	for (TransactionId xid = snapshot->xmax; TransactionIdPrecedes(xid, next);)
	{
		add_hidden(&hidden, xid, upto);
		TransactionIdAdvance(xid);
	}
	hidden.next = ReadNextTransactionId();
	return hidden;
}

/* Add a transaction to the list if it belongs there; subtransactions don't. */
static void
add_hidden(HiddenCommits *hidden, TransactionId xid, XLogRecPtr upto)
{
	XLogRecPtr	end;
	bool		under_way;

	if (!TransactionIdDidCommit(xid) || SubTransGetTopmostTransaction(xid) != xid)
		return;
	end = commits_end_of(xid, &under_way);
	if (end <= upto)
		hidden->commits[hidden->count++] = (HiddenCommit)
	{
		xid, end
	};
}

/*
 * Wait until hidden commits are visible to snapshots taken from then on; those
 * that turn out to end beyond the position are taken off the list.
 *
 * All are looked at each time: where one ended isn't remembered for long.
 */
static bool
wait_for_hidden(HiddenCommits *hidden, XLogRecPtr upto, TimestampTz deadline)
{
	int			nap_us = BARRIER_NAP_MIN;

	for (;;)
	{
		bool		all_settled = true;

		for (int i = 0; i < hidden->count;)
		{
			bool		settled = is_settled(&hidden->commits[i]);

			if (hidden->commits[i].end > upto)
				hidden->commits[i] = hidden->commits[--hidden->count];
			else
			{
				all_settled &= settled;
				i++;
			}
		}
		if (all_settled)
			return true;
		if (!nap(&nap_us, BARRIER_NAP_MAX, deadline, wait_event_barrier()))
			return false;
	}
}

/*
 * Is a commit visible to new snapshots, and is it known where it ended, if it
 * ever will be?
 */
static bool
is_settled(HiddenCommit *commit)
{
	bool		running = TransactionIdIsInProgress(commit->xid);
	bool		under_way = false;

	if (commit->end == InvalidXLogRecPtr)
		commit->end = commits_end_of(commit->xid, &under_way);
	return !running && (commit->end != InvalidXLogRecPtr || !under_way);
}

/*
 * show_hidden
 *		Have a snapshot show commits that it takes for running.  False if that
 *		can't be done; then it is of no use any more.
 *
 * They must be visible to new snapshots.  Subtransactions are found by their
 * parents then, as where a snapshot has too many of them.  The snapshot's xmin
 * stays, and protects what those have removed that it goes on hiding.
 */
static bool
show_hidden(Snapshot snapshot, const HiddenCommits *hidden)
{
	uint32		kept = 0;

	if (hidden->count == 0)
		return true;
	for (int i = 0; i < hidden->count; i++)
	{
		if (hidden->commits[i].end == InvalidXLogRecPtr)
			return false;
	}

	snapshot->snapXactCompletionCount = 0;	/* not to be taken for a new one */
	for (uint32 i = 0; i < snapshot->xcnt; i++)
	{
		if (!is_hidden(hidden, snapshot->xip[i]))
			snapshot->xip[kept++] = snapshot->xip[i];
	}
	snapshot->xcnt = kept;
	snapshot->subxcnt = 0;
	snapshot->suboverflowed = true;
	return raise_xmax(snapshot, hidden);
}

/*
 * raise_xmax
 *		Raise a snapshot's xmax above those that it is to show, and list as
 *		running what lies between.  False if there is no room for that.
 */
static bool
raise_xmax(Snapshot snapshot, const HiddenCommits *hidden)
{
	TransactionId xmax = snapshot->xmax;

	for (TransactionId xid = xmax; TransactionIdPrecedes(xid, hidden->next);)
	{
		bool		shown = is_hidden(hidden, SubTransGetTopmostTransaction(xid));

		TransactionIdAdvance(xid);
		if (shown)
			xmax = xid;
	}
	while (TransactionIdPrecedes(snapshot->xmax, xmax))
	{
		TransactionId xid = snapshot->xmax;

		if (!is_hidden(hidden, xid) && SubTransGetTopmostTransaction(xid) == xid)
		{
			if (snapshot->xcnt >= GetMaxSnapshotXidCount())
				return false;
			snapshot->xip[snapshot->xcnt++] = xid;
		}
		TransactionIdAdvance(snapshot->xmax);
	}
	return true;
}

static bool
is_hidden(const HiddenCommits *hidden, TransactionId xid)
{
	for (int i = 0; i < hidden->count; i++)
	{
		if (hidden->commits[i].xid == xid)
			return true;
	}
	return false;
}
