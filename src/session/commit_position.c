/*-------------------------------------------------------------------------
 *
 * commit_position.c
 *	  The highest position that a snapshot just taken can have seen.
 *
 * A snapshot carries no LSN.  What bounds it from above differs:
 *
 * - On a replica: the end of the record that is being replayed right now (not
 *   of the last one replayed: its effect can be visible before it counts as
 *   replayed).
 *
 * - On a primary: a commit becomes visible after its record was flushed, so
 *   the flush position is a bound; except for asynchronous commits, which
 *   become visible before.  The insert position would bound those as well, but
 *   is too high: it includes records that nobody ever asked to flush (an open
 *   transaction's rows on an otherwise idle server), and a replica would wait
 *   for them without end.  So the ends of asynchronous commits are kept in
 *   shared memory.
 *
 * A backend learns the end of its commit record only after the commit has
 * become visible.  Between these two, a counter says that some asynchronous
 * commit is on its way; who takes a snapshot meanwhile uses the insert
 * position after all, and asks for it to be flushed, as an asynchronous commit
 * at that position would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "port/atomics.h"

#include "core/shmem.h"
#include "session/commit_position.h"

typedef struct AsyncCommits
{
	pg_atomic_uint32 on_their_way;	/* between before-commit and after-visible */
	pg_atomic_uint64 end;		/* highest end of those that are done */
} AsyncCommits;

static AsyncCommits *async_commits = NULL;

/* is our own transaction counted in on_their_way? */
static bool counted = false;

static void setup_async_commits(void *segment);
static void track_async_commit(XactEvent event, void *arg);
static void raise_end(XLogRecPtr end);

/* Only while the library is being preloaded. */
void
commit_position_init(void)
{
	shmem_register("consistency asynchronous commits", sizeof(AsyncCommits),
				   (void **) &async_commits, setup_async_commits);
	RegisterXactCallback(track_async_commit, NULL);
}

/*
 * commit_position_bound
 *		An upper bound of every commit that the snapshots taken before this
 *		call can show.  Call it after the snapshot was taken.
 */
Position
commit_position_bound(void)
{
	Position	bound;
	XLogRecPtr	async_end;

	if (RecoveryInProgress())
	{
		bound.lsn = GetCurrentReplayRecPtr(&bound.tli);
		return bound;
	}

	bound.tli = GetWALInsertionTimeLine();
	if (unlikely(pg_atomic_read_u32(&async_commits->on_their_way) > 0))
	{
		/* At the start of a page it is behind the page's header. */
		bound.lsn = GetXLogInsertRecPtr();
		if (XLogSegmentOffset(bound.lsn, wal_segment_size) == SizeOfXLogLongPHD)
			bound.lsn -= SizeOfXLogLongPHD;
		else if (bound.lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
			bound.lsn -= SizeOfXLogShortPHD;
		XLogSetAsyncXactLSN(bound.lsn);
		return bound;
	}

	pg_read_barrier();
	async_end = pg_atomic_read_u64(&async_commits->end);
	bound.lsn = Max(GetFlushRecPtr(NULL), async_end);
	return bound;
}

static void
setup_async_commits(void *segment)
{
	AsyncCommits *commits = segment;

	pg_atomic_init_u32(&commits->on_their_way, 0);
	pg_atomic_init_u64(&commits->end, 0);
}

static void
track_async_commit(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF &&
				TransactionIdIsValid(GetTopTransactionIdIfAny()))
			{
				pg_atomic_fetch_add_u32(&async_commits->on_their_way, 1);
				counted = true;
			}
			break;
		case XACT_EVENT_COMMIT:
			if (counted)
				raise_end(XactLastCommitEnd);
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
			if (counted)
				pg_atomic_fetch_sub_u32(&async_commits->on_their_way, 1);
			counted = false;
			break;
		default:
			break;
	}
}

static void
raise_end(XLogRecPtr end)
{
	uint64		seen = pg_atomic_read_u64(&async_commits->end);

	while (seen < end &&
		   !pg_atomic_compare_exchange_u64(&async_commits->end, &seen, end))
		;
}
