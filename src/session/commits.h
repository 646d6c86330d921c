/*-------------------------------------------------------------------------
 *
 * commits.h
 *	  Commits at this primary: those under way, and how far those done reach.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMMITS_H
#define CONSISTENCY_COMMITS_H

#include "access/xlogdefs.h"
#include "port/atomics.h"

/*
 * In a process's place: it commits a transaction that it doesn't know by id.
 * In the place of a commit's end: that is being written.
 */
#define COMMITS_UNKNOWN_XID FrozenTransactionId

/* how many ends are remembered */
#define COMMITS_ENDS 4096

/* The commits of one process; only that process writes. */
typedef struct CommitSlot
{
	pg_atomic_uint32 xid;		/* whose commit is under way, or invalid */
	pg_atomic_uint64 begin;		/* insert position when xid's commit began */
} CommitSlot;

/* Where a commit ended; its place is given by the transaction id */
typedef struct CommitEnd
{
	pg_atomic_uint32 xid;		/* whose; only who puts COMMITS_UNKNOWN_XID
								 * here may write */
	pg_atomic_uint64 end;		/* of its commit record */
} CommitEnd;

typedef struct Commits
{
	/*
	 * Low half: commits under way, from before their record is inserted until
	 * after they have become visible.  High half: counts those begun.
	 */
	pg_atomic_uint64 word;
	pg_atomic_uint64 visible_end;	/* highest end of those that are done */

	/* of these, the asynchronous ones */
	pg_atomic_uint32 async_under_way;
	pg_atomic_uint64 async_end;

	CommitEnd	ends[COMMITS_ENDS];
	CommitSlot	slots[FLEXIBLE_ARRAY_MEMBER];	/* MaxBackends, by process
												 * number */
} Commits;

/* NULL where the library wasn't preloaded */
extern Commits *commits;

/* Nothing is being committed while this holds and the word stays the same. */
static inline bool
commits_word_is_idle(uint64 word)
{
	return (uint32) word == 0;
}

extern void commits_init(void);
extern void commits_begin_prepared(const char *gid);
extern void commits_end_prepared(void);
extern XLogRecPtr commits_end_of(TransactionId xid, bool *under_way);
extern bool commits_waits_for_standby(int process);

#endif							/* CONSISTENCY_COMMITS_H */
