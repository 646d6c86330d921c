/*-------------------------------------------------------------------------
 *
 * fence.c
 *	  The leader fence: is this server still the primary?
 *
 * A primary that is cut off from its standbys may have been replaced by one of
 * them.  A standby that was promoted doesn't acknowledge its old primary's WAL
 * any more.  So a record written now, and acknowledged by the synchronous
 * standbys, shows that this server was the primary when it was written; as far
 * as the administrator promotes only standbys whose acknowledgement is needed.
 *
 * One record and one acknowledgement, a round, serve all readers that arrived
 * before the round began.  The first of them who finds no round under way runs
 * the next one; the others sleep.  Whoever runs a round and fails (its time is
 * up, or it is cancelled) leaves it to the others.
 *
 * The record is a logical decoding message without content, the smallest record
 * that an extension can write without a resource manager of its own; no slot's
 * consumer gets to see it unless it asks for messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender_private.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/spin.h"

#include "core/compat.h"
#include "core/nap.h"
#include "core/shmem.h"
#include "core/wait_event.h"
#include "core/weaken.h"
#include "requirement/fence.h"

/* the record's message prefix */
#define FENCE_PREFIX "consistency.fence"

/* naps of who runs a round, microseconds */
#define FENCE_NAP_MIN 100
#define FENCE_NAP_MAX 5000

/* who sleeps looks after the others now and then, milliseconds */
#define FENCE_SLEEP 100

typedef struct Fence
{
	slock_t		mutex;			/* protects the next three */
	bool		running;		/* a round is under way */
	uint64		begun;			/* rounds begun */
	uint64		confirmed;		/* the last round that was acknowledged */
	ConditionVariable ended;	/* a round ended, well or not */
} Fence;

static Fence *fence = NULL;

static void setup_fence(void *segment);
static uint64 begin_round(uint64 wanted, bool *confirmed);
static bool run_round(uint64 round, TimestampTz deadline);
static void give_up_round(int code, Datum arg);
static void end_round(uint64 confirmed);
static bool wait_acknowledged(XLogRecPtr lsn, TimestampTz deadline);

/* Only while the library is being preloaded. */
void
fence_init(void)
{
	shmem_register("consistency leader fence", sizeof(Fence), 0, (void **) &fence, setup_fence);
}

/* Are there synchronous standbys, by configuration, to ask? */
bool
fence_is_possible(void)
{
	return SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * fence_wait
 *		Wait until it is sure that this server was the primary at some moment
 *		after this call.  Returns false when the deadline passes first.
 *
 * Only where fence_is_possible().  The caller should hold no snapshot.
 */
bool
fence_wait(TimestampTz deadline)
{
	uint64		wanted;
	bool		confirmed = false;

	if (weakened(MECHANISM_FENCE))
		return true;

	SpinLockAcquire(&fence->mutex);
	wanted = fence->begun + 1;	/* the one that is running began before us */
	SpinLockRelease(&fence->mutex);

	for (;;)
	{
		uint64		round = begin_round(wanted, &confirmed);

		if (confirmed)
			break;
		if (round != 0)
		{
			confirmed = run_round(round, deadline);
			break;
		}
		if (GetCurrentTimestamp() >= deadline)
			break;
		(void) ConditionVariableTimedSleep(&fence->ended, FENCE_SLEEP, wait_event_fence());
	}
	ConditionVariableCancelSleep();
	return confirmed;
}

static void
setup_fence(void *segment)
{
	Fence	   *new = segment;

	SpinLockInit(&new->mutex);
	ConditionVariableInit(&new->ended);
}

/*
 * Has the round wanted, or a later one, been acknowledged?  If not, and none is
 * under way, begin one: returns its number, otherwise 0.
 */
static uint64
begin_round(uint64 wanted, bool *confirmed)
{
	uint64		round = 0;

	SpinLockAcquire(&fence->mutex);
	*confirmed = fence->confirmed >= wanted;
	if (!*confirmed && !fence->running)
	{
		fence->running = true;
		round = ++fence->begun;
	}
	SpinLockRelease(&fence->mutex);
	return round;
}

/* Write a record and wait for it to be acknowledged; false after the deadline. */
static bool
run_round(uint64 round, TimestampTz deadline)
{
	bool		confirmed = false;

	PG_ENSURE_ERROR_CLEANUP(give_up_round, (Datum) 0);
	{
		XLogRecPtr	lsn = COMPAT_LOG_LOGICAL_MESSAGE(FENCE_PREFIX);

		XLogFlush(lsn);
		confirmed = wait_acknowledged(lsn, deadline);
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_up_round, (Datum) 0);

	end_round(confirmed ? round : 0);
	return confirmed;
}

static void
give_up_round(int code, Datum arg)
{
	end_round(0);
}

/* The round under way has ended; 0: without an acknowledgement. */
static void
end_round(uint64 confirmed)
{
	SpinLockAcquire(&fence->mutex);
	fence->running = false;
	fence->confirmed = Max(fence->confirmed, confirmed);
	SpinLockRelease(&fence->mutex);
	ConditionVariableBroadcast(&fence->ended);
}

/*
 * Wait until the synchronous standbys have flushed up to an LSN.
 *
 * Not by SyncRepWaitForLSN(), which has no deadline, and doesn't wait at all in
 * a session that doesn't want its own commits to wait.
 */
static bool
wait_acknowledged(XLogRecPtr lsn, TimestampTz deadline)
{
	int			nap_us = FENCE_NAP_MIN;
	XLogRecPtr	acknowledged;

	do
	{
		LWLockAcquire(SyncRepLock, LW_SHARED);
		acknowledged = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH];
		LWLockRelease(SyncRepLock);
	} while (acknowledged < lsn &&
			 nap(&nap_us, FENCE_NAP_MAX, deadline, wait_event_fence()));
	return acknowledged >= lsn;
}
