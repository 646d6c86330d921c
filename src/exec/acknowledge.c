/*-------------------------------------------------------------------------
 *
 * acknowledge.c
 *	  The client isn't told of a commit before enough nodes have it.
 *
 * A commit is acknowledged by CommandComplete, or by ReadyForQuery where the
 * extended protocol commits with the Sync that follows the statement.  Both pass
 * PqCommMethods, PostgreSQL's table of functions that send messages; a session
 * that has once asked for a quorum gets one of our own.
 *
 * By then the transaction is over, in this server: its locks are released, and
 * others may have seen it.  So the outcome of the wait is an error (or a warning,
 * by consistency.on_unconfirmed) that says so, of an SQLSTATE of its own.
 * It must never be taken for a transaction that failed: a cancel doesn't raise what it
 * raises elsewhere.
 *
 * A procedure may commit several times before its CALL is acknowledged: then what
 * the last of them needs is waited for.  What isn't acknowledged, since an error
 * came later, isn't waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/timeout.h"

#include "core/compat.h"
#include "core/errors.h"
#include "core/guc.h"
#include "core/violations.h"
#include "core/wait_event.h"
#include "exec/acknowledge.h"
#include "node/applied.h"
#include "session/quorum.h"

/*
 * How long to sleep, milliseconds, while a node that isn't there yet wakes nobody,
 * being known by its heartbeats alone; and otherwise, should a node become one
 * that does.
 */
#define UNHEARD_SLEEP 50
#define LONGEST_SLEEP 1000

typedef struct Unacknowledged
{
	XLogRecPtr	lsn;			/* of the last commit; invalid: there is none */
	int			quorum;			/* as quorum_parse() tells it */
	TimestampTz deadline;		/* DT_NOEND: none */
	StandbyWait standby_wait;
} Unacknowledged;

typedef enum Outcome
{
	CONFIRMED,
	TIMED_OUT,
	CANCELED,
	TERMINATED,					/* the session ends */
} Outcome;

static Unacknowledged unacknowledged;

static const PQcommMethods *prev_methods = NULL;
static PQcommMethods methods;

static int	putmessage(char type, const char *body, size_t length);
static void confirm_visibly(char type);
static void confirm(void);
static bool is_confirmed(const Unacknowledged *commit, Applied *applied);
static Outcome wait_for_nodes(const Unacknowledged *commit, Applied *applied);
static Outcome interrupted(void);
static void check_client(void);
static long sleep_ms(const Unacknowledged *commit, const Applied *applied);
static void report(const Unacknowledged *commit, const Applied *applied, Outcome outcome);
static const char *reason(const Unacknowledged *commit, Outcome outcome);

/* This session has to wait before it acknowledges. */
void
acknowledge_install(void)
{
	if (prev_methods != NULL)
		return;
	prev_methods = PqCommMethods;
	methods = *prev_methods;
	methods.putmessage = putmessage;
	PqCommMethods = &methods;
}

/*
 * acknowledge_later
 *		A transaction was committed, up to this position.
 */
void
acknowledge_later(XLogRecPtr lsn, int quorum, TimestampTz deadline, StandbyWait standby_wait)
{
	if (unacknowledged.lsn != InvalidXLogRecPtr)
	{
		quorum = quorum_stronger(quorum, unacknowledged.quorum, applied_look(lsn).members);
		standby_wait = Max(standby_wait, unacknowledged.standby_wait);
	}
	unacknowledged = (Unacknowledged)
	{
		lsn, quorum, deadline, standby_wait
	};
}

/* What follows is an error, or nothing. */
void
acknowledge_nothing(void)
{
	unacknowledged.lsn = InvalidXLogRecPtr;
}

/*
 * Send a message; one that acknowledges a commit when it is confirmed.  A procedure
 * may go on to write after it has committed: that isn't committed yet.
 */
static int
putmessage(char type, const char *body, size_t length)
{
	if (unlikely(unacknowledged.lsn != InvalidXLogRecPtr) && (type == 'C' || type == 'Z') &&
		!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		confirm_visibly(type);
	return prev_methods->putmessage(type, body, length);
}

/*
 * The same, where the session counts as idle already: it isn't, and the time that
 * it may be idle begins afterwards.
 */
static void
confirm_visibly(char type)
{
	bool		idle = type == 'Z' && !IsTransactionState();

	if (!idle)
	{
		confirm();
		return;
	}
	if (MyBEEntry)
		pgstat_report_activity(STATE_RUNNING, pstrdup(MyBEEntry->st_activity_raw));
	if (IdleSessionTimeout > 0)
		disable_timeout(IDLE_SESSION_TIMEOUT, false);
	IdleSessionTimeoutPending = false;
	confirm();
	pgstat_report_activity(STATE_IDLE, NULL);
	if (IdleSessionTimeout > 0)
		enable_timeout_after(IDLE_SESSION_TIMEOUT, IdleSessionTimeout);
}

/* Wait for what isn't acknowledged yet, or raise that it isn't confirmed. */
static void
confirm(void)
{
	Unacknowledged commit = unacknowledged;
	Applied		applied;
	Outcome		outcome = CONFIRMED;

	acknowledge_nothing();
	if (!is_confirmed(&commit, &applied))
	{
		/* Who has ended the first wait wants no second one. */
		if (commit.standby_wait != STANDBY_WAIT_DONE)
			outcome = commit.standby_wait == STANDBY_WAIT_CANCELED ? CANCELED : TIMED_OUT;
		else
			outcome = wait_for_nodes(&commit, &applied);
	}
	else if (commit.standby_wait == STANDBY_WAIT_TIMED_OUT)
		outcome = TIMED_OUT;
	if (outcome != CONFIRMED)
		report(&commit, &applied, outcome);
}

/* Do enough nodes have it?  Then it counts as acknowledged. */
static bool
is_confirmed(const Unacknowledged *commit, Applied *applied)
{
	do
	{
		*applied = applied_look(commit->lsn);
		if (applied->members == 0 ||
			applied->nodes < quorum_nodes(commit->quorum, applied->members))
			return false;
	} while (!applied_acknowledge(commit->lsn, applied->generation));
	return true;
}

/*
 * Wait for enough nodes to have it.
 *
 * Interrupts are held off, since an error must say that it is committed; but for
 * those that others wait for.
 */
static Outcome
wait_for_nodes(const Unacknowledged *commit, Applied *applied)
{
	Outcome		outcome;

	HOLD_INTERRUPTS();
	applied_wait_begin(commit->lsn);
	for (;;)
	{
		long		sleep;

		ResetLatch(MyLatch);
		if (is_confirmed(commit, applied))
		{
			outcome = CONFIRMED;
			break;
		}
		outcome = interrupted();
		if (outcome != CONFIRMED)
			break;
		sleep = sleep_ms(commit, applied);
		if (sleep <= 0)
		{
			outcome = TIMED_OUT;
			break;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep,
						 wait_event_quorum());
	}
	applied_wait_end();
	RESUME_INTERRUPTS();
	return outcome;
}

/* Does somebody want the wait to end?  CONFIRMED: no. */
static Outcome
interrupted(void)
{
	if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();
	check_client();
	if (ProcDiePending || ClientConnectionLost)
		return TERMINATED;
	if (!QueryCancelPending)
		return CONFIRMED;
	QueryCancelPending = false;
	return CANCELED;
}

/* Is the client still there, if that is to be looked at now? */
static void
check_client(void)
{
	if (!CheckClientConnectionPending)
		return;
	CheckClientConnectionPending = false;
	if (client_connection_check_interval <= 0)
		return;
	if (pq_check_connection())
		enable_timeout_after(CLIENT_CONNECTION_CHECK_TIMEOUT, client_connection_check_interval);
	else
		ClientConnectionLost = InterruptPending = true;
}

/* How long to sleep before the next look, if nobody wakes us; 0: time is up. */
static long
sleep_ms(const Unacknowledged *commit, const Applied *applied)
{
	long		longest = applied->unheard || applied->members == 0 ? UNHEARD_SLEEP : LONGEST_SLEEP;

	if (commit->deadline == DT_NOEND)
		return longest;
	return Min(longest, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), commit->deadline));
}

/*
 * Tell the client.  One whose session ends is warned: what ends it is an error of
 * PostgreSQL's own, which comes next.
 */
static void
report(const Unacknowledged *commit, const Applied *applied, Outcome outcome)
{
	int			needed = quorum_nodes(commit->quorum, applied->members);
	bool		fails = guc_on_unconfirmed == ON_UNCONFIRMED_ERROR && outcome != TERMINATED;

	violations_record(VIOLATION_UNCONFIRMED_COMMIT, "commit up to %X/%X: %d of %d nodes have it, %d should: %s",
					  LSN_FORMAT_ARGS(commit->lsn), applied->nodes, applied->members, needed,
					  reason(commit, outcome));
	ereport(fails ? ERROR : WARNING,
			(errcode(fails ? ERRCODE_UNCONFIRMED_COMMIT : ERRCODE_WARNING_UNCONFIRMED_COMMIT),
			 errmsg("the transaction is committed, but not confirmed by its write quorum"),
			 errdetail("Of %d nodes %d must have applied it, and %d had: %s.",
					   applied->members, needed, applied->nodes, reason(commit, outcome)),
			 errhint("Do not run it again.  Nodes that lag behind get it when they catch up.")));
	CHECK_FOR_INTERRUPTS();
}

static const char *
reason(const Unacknowledged *commit, Outcome outcome)
{
	switch (outcome)
	{
		case CANCELED:
			return "the wait was canceled";
		case TERMINATED:
			return "the session was terminated";
		default:
			return commit->standby_wait == STANDBY_WAIT_TIMED_OUT ?
				"consistency.write_quorum_timeout ended the wait for synchronous standbys" :
				"consistency.write_quorum_timeout ended the wait";
	}
}
