/*-------------------------------------------------------------------------
 *
 * commits.c
 *	  Commits at this primary: those under way, and how far those done reach.
 *
 * PostgreSQL tells an extension before a transaction inserts its commit record
 * and after it has become visible to others.  In between the record is
 * flushed, sent, and perhaps shown by a standby, while this server doesn't show
 * it yet.  Whoever must know which commits are in that state finds them here:
 * requirement/barrier.c, session/commit_position.c.
 *
 * Each commit with a transaction id is counted in the shared word and named in
 * the process's place from the first of these moments to the second.  Its end
 * is noted before it is taken off, so that a commit that is visible is either
 * still named or accounted for in visible_end.
 *
 * COMMIT PREPARED has no transaction of its own to be told of; the utility hook
 * brackets it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"

#include "core/shmem.h"
#include "session/commits.h"

/* begun, and under way */
#define WORD_BEGIN ((UINT64CONST(1) << 32) + 1)

Commits    *commits = NULL;

/* What this process has under way */
static bool counted = false;
static bool counted_async = false;

static void setup_commits(void *segment);
static void track_commit(XactEvent event, void *arg);
static CommitSlot *my_slot(void);
static void begin(TransactionId xid);
static void done(XLogRecPtr lsn);
static void end(void);
static void end_at_exit(int code, Datum arg);
static void raise_end(pg_atomic_uint64 *highest, XLogRecPtr lsn);

/* Only while the library is being preloaded. */
void
commits_init(void)
{
	shmem_register("consistency commits", offsetof(Commits, slots), sizeof(CommitSlot),
				   (void **) &commits, setup_commits);
	RegisterXactCallback(track_commit, NULL);
}

/* A transaction that this process doesn't know by its id is being committed. */
void
commits_begin_unknown(void)
{
	begin(COMMITS_UNKNOWN_XID);
}

/* It is visible, or it failed. */
void
commits_end_unknown(void)
{
	if (counted)
		raise_end(&commits->visible_end, GetXLogInsertRecPtr());
	end();
}

/*
 * commits_end_of
 *		Where the commit of a transaction that is in clog ends, if that is known;
 *		otherwise 0.
 *
 * While it waits for a synchronous standby its process says for which LSN; and
 * each process keeps the end of its last commit.
 */
XLogRecPtr
commits_end_of(TransactionId xid)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		CommitSlot *slot = &commits->slots[i];
		XLogRecPtr	end = InvalidXLogRecPtr;

		if (pg_atomic_read_u32(&slot->xid) == xid)
		{
			end = *(volatile XLogRecPtr *) &ProcGlobal->allProcs[i].waitLSN;
			pg_read_barrier();
			if (end != InvalidXLogRecPtr && pg_atomic_read_u32(&slot->xid) == xid)
				return end;
		}
		if (pg_atomic_read_u32(&slot->last_xid) == xid)
		{
			pg_read_barrier();
			end = pg_atomic_read_u64(&slot->last_end);
			pg_read_barrier();
			return pg_atomic_read_u32(&slot->last_xid) == xid ? end : InvalidXLogRecPtr;
		}
	}
	return InvalidXLogRecPtr;
}

static void
setup_commits(void *segment)
{
	Commits    *new = segment;

	pg_atomic_init_u64(&new->word, 0);
	pg_atomic_init_u64(&new->visible_end, 0);
	pg_atomic_init_u32(&new->async_under_way, 0);
	pg_atomic_init_u64(&new->async_end, 0);
	for (int i = 0; i < MaxBackends; i++)
	{
		pg_atomic_init_u32(&new->slots[i].xid, InvalidTransactionId);
		pg_atomic_init_u32(&new->slots[i].last_xid, InvalidTransactionId);
		pg_atomic_init_u64(&new->slots[i].begin, 0);
		pg_atomic_init_u64(&new->slots[i].last_end, 0);
	}
}

static void
track_commit(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				begin(GetTopTransactionIdIfAny());
			break;
		case XACT_EVENT_COMMIT:
			if (counted)
				done(XactLastCommitEnd);
			end();
			break;
		case XACT_EVENT_ABORT:
			end();
			break;
		default:
			break;
	}
}

/* This process's place: those that run transactions come first of all. */
static CommitSlot *
my_slot(void)
{
	int			number = MyProc - ProcGlobal->allProcs;

	Assert(number < MaxBackends);
	return &commits->slots[number];
}

static void
begin(TransactionId xid)
{
	static bool exit_prepared = false;
	CommitSlot *slot = my_slot();

	if (counted)
		return;
	if (!exit_prepared)
	{
		before_shmem_exit(end_at_exit, (Datum) 0);
		exit_prepared = true;
	}

	counted = true;
	pg_atomic_write_u64(&slot->begin, GetXLogInsertRecPtr());
	pg_write_barrier();
	pg_atomic_write_u32(&slot->xid, xid);
	pg_atomic_fetch_add_u64(&commits->word, WORD_BEGIN);
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
	{
		counted_async = true;
		pg_atomic_fetch_add_u32(&commits->async_under_way, 1);
	}
}

/* Our commit ended there, and is visible: note it. */
static void
done(XLogRecPtr lsn)
{
	CommitSlot *slot = my_slot();

	raise_end(&commits->visible_end, lsn);
	if (counted_async)
		raise_end(&commits->async_end, lsn);

	pg_atomic_write_u32(&slot->last_xid, InvalidTransactionId);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->last_end, lsn);
	pg_write_barrier();
	pg_atomic_write_u32(&slot->last_xid, pg_atomic_read_u32(&slot->xid));
	pg_write_barrier();
}

/* What it did must have been noted before. */
static void
end(void)
{
	if (!counted)
		return;
	if (counted_async)
		pg_atomic_fetch_sub_u32(&commits->async_under_way, 1);
	pg_atomic_write_u32(&my_slot()->xid, InvalidTransactionId);
	pg_atomic_fetch_sub_u64(&commits->word, 1);
	counted = counted_async = false;
}

/* The session ends in the middle of COMMIT PREPARED. */
static void
end_at_exit(int code, Datum arg)
{
	end();
}

static void
raise_end(pg_atomic_uint64 *highest, XLogRecPtr lsn)
{
	uint64		seen = pg_atomic_read_u64(highest);

	while (seen < lsn && !pg_atomic_compare_exchange_u64(highest, &seen, lsn))
		;
}
