/*-------------------------------------------------------------------------
 *
 * key_lock.c
 *	  Local insertions and replicated changes of one key, one after the other.
 *
 * Where there is no row there is nothing to lock.  Who inserts a row looks for
 * another one and for a tombstone first; who brings a tombstone, or a row from elsewhere, looks for a
 * row first.  Between looking and writing the other one must not do the same, or
 * a key would have both, or a unique index would stop replication.
 *
 * Once the row or tombstone is written, whoever looks finds it, committed or not,
 * and waits for its transaction if need be.  So a process holds one of these locks
 * at most: it gives the last one back when it takes the next, or ends its
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/resowner.h"

#include "converge/key_lock.h"
#include "core/compat.h"

/* what advisory locks, which have 1 and 2, don't use */
#define KEY_LOCK_CLASS 9

static LOCKTAG held_tag;
static LOCKMODE held_mode = NoLock;
static LocalTransactionId held_by = InvalidLocalTransactionId;

static bool take(Oid relation, const char *key, LOCKMODE mode, bool wait);

/* Before a row is inserted here where there is one, or a tombstone. */
void
key_lock_shared(Oid relation, const char *key)
{
	(void) take(relation, key, ShareLock, true);
}

/*
 * Before a row is inserted here with a new key, and before a row or a tombstone is
 * written that came from elsewhere.
 */
void
key_lock_exclusive(Oid relation, const char *key)
{
	(void) take(relation, key, ExclusiveLock, true);
}

/* The same if nobody has it; else nothing is locked. */
bool
key_lock_try_exclusive(Oid relation, const char *key)
{
	return take(relation, key, ExclusiveLock, false);
}

static bool
take(Oid relation, const char *key, LOCKMODE mode, bool wait)
{
	LocalTransactionId transaction = COMPAT_MY_LXID;
	ResourceOwner owner = CurrentResourceOwner;

	/* Statements come and go, and so do their owners. */
	CurrentResourceOwner = TopTransactionResourceOwner;
	/* At its end a transaction has given back all by itself. */
	if (held_mode != NoLock && held_by == transaction)
		LockRelease(&held_tag, held_mode, false);
	held_mode = NoLock;
	SET_LOCKTAG_ADVISORY(held_tag, MyDatabaseId, relation,
						 hash_bytes((const unsigned char *) key, strlen(key)), KEY_LOCK_CLASS);
	if (LockAcquire(&held_tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL)
		held_mode = mode;
	held_by = transaction;
	CurrentResourceOwner = owner;
	return held_mode != NoLock;
}
