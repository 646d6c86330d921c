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

/* In a process's place: it commits a transaction that it doesn't know by id. */
#define COMMITS_UNKNOWN_XID FrozenTransactionId

/* The commits of one process; only that process writes. */
typedef struct CommitSlot
{
	pg_atomic_uint32 xid;		/* whose commit is under way, or invalid */
	pg_atomic_uint32 last_xid;	/* whose commit was the last one done */
	pg_atomic_uint64 begin;		/* insert position when xid's commit began */
	pg_atomic_uint64 last_end;	/* end of last_xid's commit record */
} CommitSlot;

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
extern void commits_begin_unknown(void);
extern void commits_end_unknown(void);
extern XLogRecPtr commits_end_of(TransactionId xid);

#endif							/* CONSISTENCY_COMMITS_H */
