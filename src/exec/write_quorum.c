/*-------------------------------------------------------------------------
 *
 * write_quorum.c
 *	  A commit is acknowledged when enough nodes have applied it.
 *
 * Ahead of the commit record of a transaction that has written, and of which
 * consistency.write_quorum wants more than this server, synchronous_commit is
 * raised to remote_apply for the rest of the transaction.  Then the standbys tell
 * at once when they have applied it, and PostgreSQL itself waits for those that
 * synchronous_standby_names lists, while nobody sees the transaction yet.  That
 * wait has no limit; a timer of ours ends it as a cancel would.
 *
 * What isn't confirmed by then is waited for where the commit would be
 * acknowledged (acknowledge.c): nothing is locked then, and an error can be
 * raised, which a commit doesn't allow.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "replication/syncrep.h"
#include "replication/walsender_private.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timeout.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/guc.h"
#include "exec/acknowledge.h"
#include "exec/write_quorum.h"
#include "node/applied.h"
#include "node/membership.h"
#include "node/node_catalog.h"
#include "node/node_state.h"
#include "requirement/fence.h"
#include "session/policy.h"
#include "session/quorum.h"

/* milliseconds between two tries to end the wait for synchronous standbys */
#define END_WAIT_INTERVAL 100

/* What the transaction that is being committed must get; QUORUM_UNSET: nothing */
static int	demand = QUORUM_UNSET;

/* What the policies want of what the transaction has written; QUORUM_UNSET: nothing */
static int	written_quorum = QUORUM_UNSET;

static bool changes_members;	/* it changes which nodes are declared */
static TimestampTz deadline;	/* DT_NOBEGIN: none */
static bool waits_for_standbys; /* PostgreSQL will */
static volatile sig_atomic_t wait_ended;	/* by our timer */

static void track_transaction(XactEvent event, void *arg);
static void write_quorum_of_name(const RangeVar *name);
static int	wanted_quorum(void);
static void begin(int quorum);
static void begin_membership(void);
static void begin_to_wait(int quorum);
static void check_members(int quorum);
static void begin_standby_wait(void);
static void end_standby_wait(void);
static StandbyWait standby_wait_outcome(void);
static void committed(void);

/* Follow transactions; after commits_init(), so as to come ahead of it. */
void
write_quorum_init(void)
{
	RegisterXactCallback(track_transaction, NULL);
}

/*
 * write_quorum_of_relation
 *		The transaction writes a relation: what its policies want of the commit.
 */
void
write_quorum_of_relation(Oid relid)
{
	const Policy *policies;
	int			n;

	if (RecoveryInProgress())
		return;
	n = policy_of_relation(relid, &policies);
	for (int i = 0; i < n; i++)
	{
		int			quorum = policies[i].write_quorum;

		if (quorum == QUORUM_UNSET)
			continue;
		written_quorum = written_quorum == QUORUM_UNSET ? quorum :
			quorum_stronger(quorum, written_quorum, applied_look(InvalidXLogRecPtr).members);
	}
}

/* What a plan writes; mostly that is nothing. */
void
write_quorum_of_plan(const PlannedStmt *plan)
{
	ListCell   *cell;

	foreach(cell, plan->resultRelations)
		write_quorum_of_relation(rt_fetch(lfirst_int(cell), plan->rtable)->relid);
}

/* What a utility statement writes, that runs no plan. */
void
write_quorum_of_utility(const Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, CopyStmt) && ((const CopyStmt *) statement)->is_from &&
		((const CopyStmt *) statement)->relation)
		write_quorum_of_name(((const CopyStmt *) statement)->relation);
	else if (IsA(statement, TruncateStmt))
	{
		foreach(cell, ((const TruncateStmt *) statement)->relations)
			write_quorum_of_name(lfirst_node(RangeVar, cell));
	}
}

/* One that isn't there fails by itself. */
static void
write_quorum_of_name(const RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	if (OidIsValid(relid))
		write_quorum_of_relation(relid);
}

/* What the transaction's commit must get, by the session and by policies. */
static int
wanted_quorum(void)
{
	int			session = quorum_write_setting();

	if (likely(written_quorum == QUORUM_UNSET))
		return session;
	return quorum_stronger(written_quorum, session, applied_look(InvalidXLogRecPtr).members);
}

/* COMMIT PREPARED begins: what it writes has no transaction here. */
void
write_quorum_before_prepared(void)
{
	if (quorum_write_setting() != QUORUM_ONE)
		begin(quorum_write_setting());
}

static void
track_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (unlikely(membership_may_change()))
				begin_membership();
			if (unlikely(wanted_quorum() != QUORUM_ONE) && demand == QUORUM_UNSET &&
				TransactionIdIsValid(GetTopTransactionIdIfAny()))
				begin(wanted_quorum());
			break;
		case XACT_EVENT_PREPARE:
			membership_forget();
			written_quorum = QUORUM_UNSET;
			break;
		case XACT_EVENT_COMMIT:
			written_quorum = QUORUM_UNSET;
			if (unlikely(membership_may_change()))
				membership_publish();
			if (unlikely(demand != QUORUM_UNSET))
				committed();
			break;
		case XACT_EVENT_ABORT:
			if (unlikely(demand != QUORUM_UNSET))
				end_standby_wait();
			demand = QUORUM_UNSET;
			changes_members = false;
			written_quorum = QUORUM_UNSET;
			membership_forget();
			acknowledge_nothing();
			break;
		default:
			break;
	}
}

/* The commit record is about to be written. */
static void
begin(int quorum)
{
	if (MyBackendType != B_BACKEND || RecoveryInProgress() || !extension_is_created())
		return;
	check_members(quorum);
	begin_to_wait(quorum);
}

/*
 * begin_membership
 *		The transaction changes which nodes are declared.
 *
 * A majority of the new ones need not contain any node of a majority of the old
 * ones.  So where quorums are in use, all that was acknowledged before must be at
 * all nodes that are left before the change is acknowledged.
 */
static void
begin_membership(void)
{
	int			before = applied_look(InvalidXLogRecPtr).members;
	int			after;

	if (RecoveryInProgress() || !extension_is_created())
	{
		membership_forget();
		return;
	}
	after = membership_prepare();
	if (after <= 0 ||
		(quorum_write_setting() == QUORUM_ONE && applied_acknowledged() == InvalidXLogRecPtr))
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("the number of nodes that quorums are taken of changes from %d to %d", before, after),
			 errdetail("This is acknowledged when all %d have applied what was acknowledged before.", after)));
	changes_members = true;
	begin_to_wait(QUORUM_ALL);
}

/* It has to be confirmed, and can be. */
static void
begin_to_wait(int quorum)
{
	acknowledge_install();

	deadline = guc_write_quorum_timeout < 0 ? DT_NOEND :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_write_quorum_timeout);
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_APPLY)
		(void) set_config_option("synchronous_commit", "remote_apply", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	begin_standby_wait();
	demand = quorum;
}

/*
 * check_members
 *		Can so many nodes have it at all?
 *
 * The shared table may not know yet what was declared a moment ago.
 */
static void
check_members(int quorum)
{
	Applied		now = applied_look(InvalidXLogRecPtr);
	int			members = now.members;

	if (members > 0 && quorum_nodes(quorum, members) <= members)
		return;
	members = node_catalog_members();
	if (members == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a write quorum of \"%s\" needs nodes, and this database declares none",
						quorum_text(quorum)),
				 errhint("Declare all nodes by CREATE SERVER, the primary among them; or SET consistency.write_quorum = 'one', and see the policies of the tables.")));
	if (quorum_nodes(quorum, members) > members)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a write quorum of %s nodes can never be had: this database declares %d",
						quorum_text(quorum), members),
				 errhint("Lower consistency.write_quorum, or declare more nodes by CREATE SERVER.")));
	node_state_request();
}

/*
 * Our timer went off.  PostgreSQL takes a cancel for it, and nothing else, while
 * it waits for standbys; if it doesn't yet, the timer comes again.
 */
static void
standby_wait_timed_out(void)
{
	if (MyProc->waitLSN == InvalidXLogRecPtr || QueryCancelPending)
		return;
	wait_ended = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static TimeoutId
standby_timer(void)
{
	static TimeoutId timer = MAX_TIMEOUTS;

	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, standby_wait_timed_out);
	return timer;
}

/* If PostgreSQL will wait for synchronous standbys, see to it that it ends. */
static void
begin_standby_wait(void)
{
	waits_for_standbys = fence_is_possible();
	wait_ended = false;
	if (waits_for_standbys && deadline != DT_NOEND)
		enable_timeout_every(standby_timer(), deadline, END_WAIT_INTERVAL);
}

static void
end_standby_wait(void)
{
	if (!waits_for_standbys || deadline == DT_NOEND)
		return;
	disable_timeout(standby_timer(), false);
}

/* What became of it, after the commit. */
static StandbyWait
standby_wait_outcome(void)
{
	bool		defined;
	XLogRecPtr	applied;

	if (!waits_for_standbys)
		return STANDBY_WAIT_DONE;
	if (wait_ended && QueryCancelPending)
	{
		/* It was over just then, and nobody took the cancel. */
		QueryCancelPending = false;
		return STANDBY_WAIT_DONE;
	}
	if (wait_ended)
		return STANDBY_WAIT_TIMED_OUT;

	LWLockAcquire(SyncRepLock, LW_SHARED);
	defined = compat_sync_standbys_defined();
	applied = WalSndCtl->lsn[SYNC_REP_WAIT_APPLY];
	LWLockRelease(SyncRepLock);
	return defined && applied < XactLastCommitEnd ? STANDBY_WAIT_CANCELED : STANDBY_WAIT_DONE;
}

/* It is committed, and visible.  Nothing may be raised here. */
static void
committed(void)
{
	end_standby_wait();
	acknowledge_later(changes_members ? Max(XactLastCommitEnd, applied_acknowledged()) : XactLastCommitEnd,
					  demand, deadline, standby_wait_outcome());
	demand = QUORUM_UNSET;
	changes_members = false;
}
