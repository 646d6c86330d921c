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
 *   for them without end.  So the ends of asynchronous commits are kept,
 *   see commits.c.
 *
 * A backend learns the end of its commit record only after the commit has
 * become visible.  Between these two some asynchronous commit is under way; who
 * takes a snapshot meanwhile uses the insert position after all, and asks for
 * it to be flushed, as an asynchronous commit at that position would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"

#include "core/weaken.h"
#include "session/commit_position.h"
#include "session/commits.h"

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
	if (weakened(MECHANISM_ASYNC))
	{
		bound.lsn = GetFlushRecPtr(NULL);
		return bound;
	}
	if (unlikely(pg_atomic_read_u32(&commits->async_under_way) > 0))
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
	async_end = pg_atomic_read_u64(&commits->async_end);
	bound.lsn = Max(GetFlushRecPtr(NULL), async_end);
	return bound;
}
