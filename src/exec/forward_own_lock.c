/*-------------------------------------------------------------------------
 *
 * forward_own_lock.c
 *	  Waits for locks that the client's transaction holds at the primary.
 *
 * An exclusive lock on a table is logged, and replay takes it here as well, until
 * the transaction that has it ends.  If that is the part of our transaction that
 * runs at the primary (after TRUNCATE, LOCK, or most of ALTER TABLE), its next
 * statement about that table can't be analysed here: it would wait for a lock
 * that goes only with its own end.  No deadlock detector sees that, since half of
 * the circle is at another server.
 *
 * So while there is such a part, a timer looks whether this session waits for a
 * lock that replay holds: at a replica nobody else holds an exclusive one.  If
 * it does so for two looks in a row, the statement is canceled, and the error told
 * in terms that call for another way.  Whose transaction it is that replay holds the
 * lock for can't be seen from here; if it is another client's, a retry helps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "exec/forward_own_lock.h"

static TimeoutId timer = MAX_TIMEOUTS;	/* not registered yet */

/* the lock that was waited for when the timer looked last */
static LOCK *volatile seen = NULL;

/* the timer has canceled the statement */
static volatile sig_atomic_t canceled = false;

static void look(void);

/*
 * forward_own_lock_watch
 *		Part of the client's transaction runs at the primary, from now on, or
 *		again: an error ends all timers.
 */
void
forward_own_lock_watch(void)
{
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, look);
	if (!get_timeout_active(timer))
		enable_timeout_every(timer,
							 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), DeadlockTimeout),
							 DeadlockTimeout);
}

/* The client's transaction is over. */
void
forward_own_lock_forget(void)
{
	if (timer != MAX_TIMEOUTS && get_timeout_active(timer))
		disable_timeout(timer, false);
	seen = NULL;
	canceled = false;
}

/*
 * Does this session wait for what replay has locked?
 *
 * In a signal handler.  The lock is ours to look at as long as we wait for it,
 * and stays in the shared memory of locks in any case.
 */
static void
look(void)
{
	LOCK	   *lock = *(LOCK *volatile *) &MyProc->waitLock;

	if (lock == NULL || lock->granted[AccessExclusiveLock] == 0)
		lock = NULL;
	else if (lock == seen)
	{
		canceled = true;
		kill(MyProcPid, SIGINT);
	}
	seen = lock;
}

/* An error is about to be told: is it ours? */
void
forward_own_lock_explain(ErrorData *error)
{
	MemoryContext old;

	if (!canceled || error->sqlerrcode != ERRCODE_QUERY_CANCELED)
		return;
	canceled = false;
	old = MemoryContextSwitchTo(error->assoc_context);
	error->sqlerrcode = ERRCODE_T_R_DEADLOCK_DETECTED;
	error->message = pstrdup("statement would wait at this replica for a lock that only the end of a transaction at the primary releases");
	error->detail = pstrdup("That is this transaction, if it has locked, truncated or altered what the statement is about.");
	error->hint = pstrdup("Commit first, or run such a transaction at the primary. If it is another client's, retry.");
	MemoryContextSwitchTo(old);
}
