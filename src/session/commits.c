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
 * brackets it.  Where a commit ended is remembered for the next few thousand
 * transactions.
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
#include "session/prepared.h"

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
static void done(TransactionId xid, XLogRecPtr lsn);
static void note_end(TransactionId xid, XLogRecPtr lsn);
static XLogRecPtr noted_end(TransactionId xid);
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

/* A prepared transaction is being committed. */
void
commits_begin_prepared(const char *gid)
{
	begin(prepared_xid(gid));
}

/* It is visible, or it failed. */
void
commits_end_prepared(void)
{
	/* Nothing is written between its commit record and here. */
	if (counted)
		done(pg_atomic_read_u32(&my_slot()->xid), XactLastRecEnd);
	end();
}

/*
 * commits_end_of
 *		Where the commit of a transaction that is in clog ends, if that is known;
 *		otherwise 0.  While its process has yet to tell, it is under way.
 *
 * While it waits for a synchronous standby its process says for which LSN.
 */
XLogRecPtr
commits_end_of(TransactionId xid, bool *under_way)
{
	*under_way = false;
	for (int i = 0; i < MaxBackends && !*under_way; i++)
	{
		pg_atomic_uint32 *slot_xid = &commits->slots[i].xid;
		PGPROC	   *process = &ProcGlobal->allProcs[i];
		XLogRecPtr	end;

		/* One that wrote nothing but a notification isn't named. */
		if (pg_atomic_read_u32(slot_xid) != xid && *(volatile TransactionId *) &process->xid != xid)
			continue;
		*under_way = true;
		end = *(volatile XLogRecPtr *) &process->waitLSN;
		pg_read_barrier();
		if (end != InvalidXLogRecPtr &&
			(pg_atomic_read_u32(slot_xid) == xid || *(volatile TransactionId *) &process->xid == xid))
			return end;
	}
	pg_read_barrier();
	return noted_end(xid);
}

/* Does a process wait for a synchronous standby, so that its commit is hidden? */
bool
commits_waits_for_standby(int process)
{
	return *(volatile XLogRecPtr *) &ProcGlobal->allProcs[process].waitLSN != InvalidXLogRecPtr;
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
		pg_atomic_init_u64(&new->slots[i].begin, 0);
	}
	for (int i = 0; i < COMMITS_ENDS; i++)
	{
		pg_atomic_init_u32(&new->ends[i].xid, InvalidTransactionId);
		pg_atomic_init_u64(&new->ends[i].end, 0);
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
			/* Some get their id too late to be counted: NOTIFY. */
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				done(GetTopTransactionIdIfAny(), XactLastCommitEnd);
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
done(TransactionId xid, XLogRecPtr lsn)
{
	raise_end(&commits->visible_end, lsn);
	if (counted_async)
		raise_end(&commits->async_end, lsn);
	if (lsn != InvalidXLogRecPtr)
		note_end(xid, lsn);
	/* All of that comes before the process's place is cleared. */
	pg_memory_barrier();
}

/* Note where a commit ended, unless somebody else is writing to the place. */
static void
note_end(TransactionId xid, XLogRecPtr lsn)
{
	CommitEnd  *place = &commits->ends[xid % COMMITS_ENDS];
	uint32		old = pg_atomic_read_u32(&place->xid);

	if (!TransactionIdIsNormal(xid) || old == COMMITS_UNKNOWN_XID ||
		!pg_atomic_compare_exchange_u32(&place->xid, &old, COMMITS_UNKNOWN_XID))
		return;
	pg_atomic_write_u64(&place->end, lsn);
	pg_write_barrier();
	pg_atomic_write_u32(&place->xid, xid);
}

/* What was noted of a commit, or 0. */
static XLogRecPtr
noted_end(TransactionId xid)
{
	CommitEnd  *place = &commits->ends[xid % COMMITS_ENDS];
	XLogRecPtr	end;

	if (pg_atomic_read_u32(&place->xid) != xid)
		return InvalidXLogRecPtr;
	pg_read_barrier();
	end = pg_atomic_read_u64(&place->end);
	pg_read_barrier();
	return pg_atomic_read_u32(&place->xid) == xid ? end : InvalidXLogRecPtr;
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
