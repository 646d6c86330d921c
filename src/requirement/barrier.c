/*-------------------------------------------------------------------------
 *
 * barrier.c
 *	  The visibility barrier of a primary.
 *
 * A primary shows a commit when its backend leaves the ProcArray: after the
 * commit record was written and flushed and after the wait for synchronous
 * standbys.  A standby shows it as soon as the record is replayed, which can
 * be much earlier.  A session that comes from a standby could so move
 * backwards at the primary; no LSN tells, for the primary's is always higher.
 *
 * What a standby can have shown by now was flushed here by now.  Its backend
 * is then in one of three states, in this order:
 *
 *   1. in the commit's critical section (DELAY_CHKPT_START), from before the
 *      record is inserted until the transaction is committed in clog;
 *   2. committed in clog, still in the ProcArray (perhaps waiting for a
 *      synchronous standby);
 *   3. out of the ProcArray, and visible to every snapshot taken from then on.
 *
 * So: wait until those that are in state 1 now have left it; then look up
 * those that a snapshot shows as running, and wait for those that clog calls
 * committed to reach state 3.  A snapshot taken thereafter shows all that any
 * standby showed before we began.  Transactions that commit meanwhile don't
 * matter, so the wait can't be drawn out by newcomers.
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

/* naps while waiting, milliseconds: begin short, as most waits are */
#define BARRIER_NAP_MIN 1
#define BARRIER_NAP_MAX 10

static bool wait_for_committing(TimestampTz deadline);
static TransactionId *committed_but_running(Snapshot snapshot, int *count);
static void add_if_committed(TransactionId xid, TransactionId **xids, int *count,
							 int *allocated);
static bool nap(int *nap_ms, TimestampTz deadline);

/*
 * barrier_wait
 *		Wait until snapshots taken from now on show all that a standby can have
 *		shown before this call.
 *
 * Returns false when the deadline passes first.  Must run on a primary.
 */
bool
barrier_wait(TimestampTz deadline)
{
	static SnapshotData running = {.snapshot_type = SNAPSHOT_MVCC};
	bool		had_xmin = TransactionIdIsValid(MyProc->xmin);
	TransactionId *xids;
	int			count;
	int			nap_ms = BARRIER_NAP_MIN;

	if (!wait_for_committing(deadline))
		return false;

	/*
	 * Not by way of the snapshot manager, for which this could be the first
	 * snapshot of a transaction that keeps it.
	 */
	GetSnapshotData(&running);
	xids = committed_but_running(&running, &count);
	if (!had_xmin)
		MyProc->xmin = InvalidTransactionId;

	for (int i = 0; i < count; i++)
	{
		while (TransactionIdIsInProgress(xids[i]))
		{
			if (!nap(&nap_ms, deadline))
				return false;
		}
	}
	return true;
}

/*
 * barrier_is_behind
 *		Does a snapshot that was taken already show all that a standby can have
 *		shown before this call?
 */
bool
barrier_is_behind(Snapshot snapshot, TimestampTz deadline)
{
	int			count;

	if (!wait_for_committing(deadline))
		return false;
	(void) committed_but_running(snapshot, &count);
	return count == 0;
}

/*
 * Wait until the commits that are in their critical section now have left it.
 * What is allocated here is small and goes with the statement.
 */
static bool
wait_for_committing(TimestampTz deadline)
{
	int			count;
	int			nap_ms = BARRIER_NAP_MIN;
	VirtualTransactionId *committing =
	GetVirtualXIDsDelayingChkpt(&count, DELAY_CHKPT_START);

	while (count > 0 &&
		   HaveVirtualXIDsDelayingChkpt(committing, count, DELAY_CHKPT_START))
	{
		if (!nap(&nap_ms, deadline))
			return false;
	}
	pfree(committing);
	return true;
}

/*
 * committed_but_running
 *		Transactions that a snapshot takes for running though clog calls them
 *		committed; palloc'd, NULL when there are none.
 *
 * A snapshot lists those below its xmax, which is just above the highest that
 * has completed.  Whatever is above counts as running without being listed.
 */
static TransactionId *
committed_but_running(Snapshot snapshot, int *count)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId *xids = NULL;
	int			allocated = 0;

	*count = 0;
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		add_if_committed(snapshot->xip[i], &xids, count, &allocated);
	for (TransactionId xid = snapshot->xmax; TransactionIdPrecedes(xid, next);)
	{
		add_if_committed(xid, &xids, count, &allocated);
		TransactionIdAdvance(xid);
	}
	return xids;
}

static void
add_if_committed(TransactionId xid, TransactionId **xids, int *count, int *allocated)
{
	if (!TransactionIdDidCommit(xid))
		return;
	if (*xids == NULL)
	{
		*allocated = 16;
		*xids = palloc(sizeof(TransactionId) * *allocated);
	}
	else if (*count == *allocated)
	{
		*allocated *= 2;
		*xids = repalloc(*xids, sizeof(TransactionId) * *allocated);
	}
	(*xids)[(*count)++] = xid;
}

/* Sleep a little, longer each time; false when the deadline has passed. */
static bool
nap(int *nap_ms, TimestampTz deadline)
{
	if (GetCurrentTimestamp() >= deadline)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 *nap_ms, wait_event_barrier());
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	*nap_ms = Min(*nap_ms * 2, BARRIER_NAP_MAX);
	return true;
}
