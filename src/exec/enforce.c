/*-------------------------------------------------------------------------
 *
 * enforce.c
 *	  The one place where a promise is kept: the start of an execution.
 *
 * Whatever way a query came here (any protocol, a prepared plan, a cursor, a
 * router), it passes ExecutorStart, and there this server makes sure that it
 * meets the requirement of the session's level: on a replica by waiting for
 * replay, on a primary by waiting behind the visibility barrier.
 *
 * By then the query has its snapshot.  It is given back for the wait, since on
 * a replica it could hold up the very replay that we wait for, and a new one
 * is taken after it.  Where a snapshot can't be given back (utility statements
 * hold one for the query inside them, and a transaction of REPEATABLE READ
 * keeps its first one), the wait comes earlier, when there is none yet:
 * enforce_before_utility(), enforce_before_first_snapshot().  The check at the
 * start of the execution is made all the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/errors.h"
#include "core/extension.h"
#include "core/guc.h"
#include "exec/enforce.h"
#include "exec/nesting.h"
#include "exec/replay_wait.h"
#include "exec/routed_plan.h"
#include "requirement/barrier.h"
#include "requirement/timeline.h"
#include "session/token.h"
#include "stats/last_read.h"

/* What a portal held and gave back for the time of a wait */
typedef struct PortalSnapshots
{
	bool		active;			/* the one that it had made active */
	bool		hold;			/* the one kept for its result */
} PortalSnapshots;

/* A wait for this position timed out while importing it: don't wait again. */
static Position waited_in_vain;
static int	waited_in_vain_ms;	/* for how long */

/* Time spent waiting ahead of the statement that starts next, microseconds. */
static int64 waited_ahead_us = 0;

/*
 * The transaction whose snapshot, which it keeps, was found to be behind the
 * barrier, or was taken after a wait.
 */
static LocalTransactionId checked_transaction = InvalidLocalTransactionId;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

static void consistency_ExecutorStart(QueryDesc *queryDesc, int eflags);
static void consistency_ExecutorRun(EXECUTOR_RUN_ARGS_DECL);
static void consistency_ExecutorFinish(QueryDesc *queryDesc);
static void enforce_statement(QueryDesc *queryDesc);
static void wait_without_snapshot(QueryDesc *queryDesc, const Requirement *requirement);
static void enforce_with_snapshot(Snapshot snapshot, const Requirement *requirement,
								  TimestampTz deadline);
static bool give_portal_snapshots_back(PortalSnapshots *given);
static void take_portal_snapshots(const PortalSnapshots *given);
static bool enforce_is_pending(const Requirement *requirement);
static Requirement current_requirement(void);
static bool snapshot_is_fixed(void);
static void wait_here(const Requirement *requirement, TimestampTz deadline);
static bool wait_quietly(Position position, TimestampTz deadline);
static TimestampTz wait_deadline(Position position);
static void error_timed_out(Position position) pg_attribute_noreturn();
static void error_snapshot_too_old(Position position) pg_attribute_noreturn();

PG_FUNCTION_INFO_V1(consistency_wait_for);

/* Install the executor hooks. */
void
enforce_init(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = consistency_ExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = consistency_ExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = consistency_ExecutorFinish;
}

static void
consistency_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && !IsParallelWorker() && extension_is_created())
	{
		/* A function may see more than the statement that called it. */
		if (nesting_depth > 0)
			session_observed_here();
		else
			enforce_statement(queryDesc);
	}

	/* Partition pruning runs functions already. */
	nesting_depth++;
	PG_TRY();
	{
		if (prev_ExecutorStart)
			prev_ExecutorStart(queryDesc, eflags);
		else
			standard_ExecutorStart(queryDesc, eflags);
	}
	PG_FINALLY();
	{
		nesting_depth--;
	}
	PG_END_TRY();
}

static void
consistency_ExecutorRun(EXECUTOR_RUN_ARGS_DECL)
{
	if (nesting_depth == 0)
		nesting_row_limit = count;
	nesting_depth++;
	PG_TRY();
	{
		if (prev_ExecutorRun)
			prev_ExecutorRun(EXECUTOR_RUN_ARGS);
		else
			standard_ExecutorRun(EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		nesting_depth--;
	}
	PG_END_TRY();
}

/* Triggers run here. */
static void
consistency_ExecutorFinish(QueryDesc *queryDesc)
{
	nesting_depth++;
	PG_TRY();
	{
		if (prev_ExecutorFinish)
			prev_ExecutorFinish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_FINALLY();
	{
		nesting_depth--;
	}
	PG_END_TRY();
}

/*
 * enforce_statement
 *		Meet the requirement of a statement that is about to start.
 *
 * A plan that may leave decides for itself, when its scan begins.
 */
static void
enforce_statement(QueryDesc *queryDesc)
{
	LastRead   *last_read = last_read_begin();
	Requirement requirement = current_requirement();
	int64		waited_us = waited_ahead_us;

	waited_ahead_us = 0;
	last_read->level = level_name(level_current());
	last_read->leader = requirement.leader;
	last_read->required = requirement.position;

	if (routed_plan_is_routed(queryDesc->plannedstmt))
		return;

	if (enforce_is_pending(&requirement))
	{
		TimestampTz start = GetCurrentTimestamp();

		wait_without_snapshot(queryDesc, &requirement);
		waited_us += GetCurrentTimestamp() - start;
	}
	last_read->waited_us = waited_us;
	if (waited_us >= LAST_READ_WAITED_US)
		last_read->place = "waited";
	session_observed_here();
	last_read->position = session_context()->observed;
	last_read->reason = RecoveryInProgress() ? "read at the replica that the client is connected to" :
		"plan can't leave the primary or isn't worth it";
}

/* Must this server do something before it may serve the read? */
static bool
enforce_is_pending(const Requirement *requirement)
{
	return position_is_set(requirement->position_here) || requirement->leader;
}

/*
 * wait_without_snapshot
 *		Give the statement's snapshot back, wait, and take a new one.
 */
static void
wait_without_snapshot(QueryDesc *queryDesc, const Requirement *requirement)
{
	TimestampTz deadline = wait_deadline(requirement->position_here);

	if (snapshot_is_fixed() || !ActiveSnapshotSet() ||
		queryDesc->snapshot != GetActiveSnapshot())
	{
		enforce_with_snapshot(queryDesc->snapshot, requirement, deadline);
		return;
	}

	PopActiveSnapshot();
	UnregisterSnapshot(queryDesc->snapshot);
	queryDesc->snapshot = InvalidSnapshot;
	InvalidateCatalogSnapshot();

	wait_here(requirement, deadline);

	/* What was granted or revoked meanwhile counts. */
	AcceptInvalidationMessages();
	PushActiveSnapshot(GetTransactionSnapshot());
	queryDesc->snapshot = RegisterSnapshot(GetActiveSnapshot());
}

/*
 * enforce_with_snapshot
 *		Meet the requirement though the snapshot can't be taken anew.
 *
 * On a primary the snapshot may be behind the barrier as it is.  On a replica
 * there's no telling; but after the error a retry finds what it needs.
 */
static void
enforce_with_snapshot(Snapshot snapshot, const Requirement *requirement, TimestampTz deadline)
{
	LocalTransactionId lxid = COMPAT_MY_LXID;

	/* A transaction's snapshot is as good for its later statements. */
	if (!position_is_set(requirement->position_here) && checked_transaction == lxid)
		return;

	if (!RecoveryInProgress() && barrier_is_behind(snapshot, deadline))
		session_elsewhere_holds_here();
	else
	{
		wait_here(requirement, deadline);
		error_snapshot_too_old(requirement->position_here);
	}
	checked_transaction = lxid;
}

/*
 * enforce_before_utility
 *		Meet the requirement ahead of a utility statement with a query in it,
 *		whose portal holds a snapshot for the time of the execution.
 */
void
enforce_before_utility(void)
{
	Requirement requirement = current_requirement();
	PortalSnapshots given;
	TimestampTz start;

	if (!enforce_is_pending(&requirement) || snapshot_is_fixed() ||
		!give_portal_snapshots_back(&given))
		return;

	start = GetCurrentTimestamp();
	wait_here(&requirement, wait_deadline(requirement.position_here));
	waited_ahead_us = GetCurrentTimestamp() - start;
	AcceptInvalidationMessages();
	take_portal_snapshots(&given);
}

/*
 * give_portal_snapshots_back
 *		Give back what the running portal holds for a utility statement.  False
 *		if the snapshots that are active aren't just its own; then all stays.
 */
static bool
give_portal_snapshots_back(PortalSnapshots *given)
{
	given->active = ActiveSnapshotSet();
	given->hold = false;
	if (given->active)
	{
		if (ActivePortal == NULL || ActivePortal->portalSnapshot != GetActiveSnapshot())
			return false;
		PopActiveSnapshot();
		ActivePortal->portalSnapshot = NULL;

		/* For out-of-line values in its result, of which there is none yet. */
		if (ActivePortal->holdSnapshot)
		{
			UnregisterSnapshotFromOwner(ActivePortal->holdSnapshot, ActivePortal->resowner);
			ActivePortal->holdSnapshot = NULL;
			given->hold = true;
		}
	}
	InvalidateCatalogSnapshot();
	return true;
}

/* Take new ones for those that were given back. */
static void
take_portal_snapshots(const PortalSnapshots *given)
{
	if (given->active)
		EnsurePortalSnapshotExists();
	if (given->hold)
		ActivePortal->holdSnapshot =
			RegisterSnapshotOnOwner(GetActiveSnapshot(), ActivePortal->resowner);
}

/*
 * enforce_before_first_snapshot
 *		Meet the requirement ahead of the only snapshot that a transaction of
 *		REPEATABLE READ or SERIALIZABLE will take.
 */
void
enforce_before_first_snapshot(void)
{
	Requirement requirement = current_requirement();

	if (!IsolationUsesXactSnapshot() || FirstSnapshotSet || !enforce_is_pending(&requirement))
		return;
	InvalidateCatalogSnapshot();
	wait_here(&requirement, wait_deadline(requirement.position_here));
	checked_transaction = COMPAT_MY_LXID;
}

/*
 * enforce_after_import
 *		A token was handed in.  On a replica wait for it right away, so that
 *		the next statement is parsed against a catalog that is new enough.
 *
 * A timeout is nothing yet: the next statement may not need the position.
 */
void
enforce_after_import(void)
{
	Requirement requirement = current_requirement();
	Position	position = requirement.position_here;
	TimestampTz start;
	bool		reached;

	if (!RecoveryInProgress() || !position_is_set(position) || requirement.leader ||
		ActiveSnapshotSet() || snapshot_is_fixed())
		return;
	InvalidateCatalogSnapshot();
	start = GetCurrentTimestamp();
	reached = wait_quietly(position, wait_deadline(position));
	waited_ahead_us = GetCurrentTimestamp() - start;
	if (reached)
		session_elsewhere_holds_here();
	else
	{
		waited_in_vain = position;
		waited_in_vain_ms = guc_wait_timeout;
	}
}

/*
 * enforce_for_routed_scan
 *		Meet the requirement for a plan that could have left this primary but
 *		runs here after all.  Returns the snapshot for it, registered.
 */
Snapshot
enforce_for_routed_scan(Snapshot snapshot, int64 *waited_us)
{
	Requirement requirement = current_requirement();
	TimestampTz start;

	*waited_us = 0;
	if (!enforce_is_pending(&requirement))
		return RegisterSnapshot(snapshot);

	start = GetCurrentTimestamp();
	if (snapshot_is_fixed())
		enforce_with_snapshot(snapshot, &requirement,
							  wait_deadline(requirement.position_here));
	else
	{
		wait_here(&requirement, wait_deadline(requirement.position_here));
		snapshot = GetTransactionSnapshot();
	}
	*waited_us = GetCurrentTimestamp() - start;
	return RegisterSnapshot(snapshot);
}

/*
 * consistency.wait_for(token text, timeout interval)
 *		Wait until this server shows the token's position.
 *
 * A procedure, so that it can run without a snapshot.
 */
Datum
consistency_wait_for(PG_FUNCTION_ARGS)
{
	Position	position;
	TimestampTz deadline;
	PortalSnapshots given;
	bool		gave_back;

	errors_require_preload("consistency.wait_for()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("token must not be null")));
	position = token_parse_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (PG_ARGISNULL(1))
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_wait_timeout);
	else
		deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														   TimestampTzGetDatum(GetCurrentTimestamp()),
														   PG_GETARG_DATUM(1)));
	if (!position_is_set(position))
		PG_RETURN_VOID();

	gave_back = !snapshot_is_fixed() && give_portal_snapshots_back(&given);
	if (!wait_quietly(position, deadline))
		error_timed_out(position);
	if (gave_back)
		take_portal_snapshots(&given);
	PG_RETURN_VOID();
}

/* Is it the procedure above, which does its own waiting? */
bool
enforce_is_wait_for(Oid procedure)
{
	FmgrInfo	function;

	fmgr_info(procedure, &function);
	return function.fn_addr == consistency_wait_for;
}

/* What the session's level demands now. */
static Requirement
current_requirement(void)
{
	return requirement_of(level_current(), session_context());
}

/* Has the transaction a snapshot that it will keep? */
static bool
snapshot_is_fixed(void)
{
	return IsolationUsesXactSnapshot() && FirstSnapshotSet;
}

/*
 * wait_here
 *		Make this server meet the requirement, or raise an error.
 *
 * Snapshots taken after it are good.
 */
static void
wait_here(const Requirement *requirement, TimestampTz deadline)
{
	if (requirement->leader && RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("linearizable reads run at the primary only"),
				 errhint("Connect to the primary, or use SET consistency = 'session'.")));

	if (!wait_quietly(requirement->position_here, deadline))
		error_timed_out(requirement->position_here);

	/*
	 * A primary's wait is for all that was shown elsewhere, whatever its
	 * position.
	 */
	session_elsewhere_holds_here();
}

/* Wait for a position (none: for the barrier only).  False on timeout. */
static bool
wait_quietly(Position position, TimestampTz deadline)
{
	if (RecoveryInProgress())
	{
		switch (replay_wait(position, deadline))
		{
			case REPLAY_REACHED:
				return true;
			case REPLAY_TIMED_OUT:
				return false;
			case REPLAY_BLOCKED_BY_US:
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("replay waits for this session while this session waits for replay"),
						 errhint("Retry the transaction: what it holds is released, and replay can go on.")));
			case REPLAY_ENDED:
				break;			/* we are a primary now */
		}
	}

	if (position_is_set(position))
	{
		TimeLineID	tli = GetWALInsertionTimeLine();

		switch (timeline_judge(position, tli))
		{
			case TIMELINE_SAME:
			case TIMELINE_PAST:
				break;
			case TIMELINE_LOST:
				timeline_error_lost(position, tli);
			case TIMELINE_AHEAD:
				timeline_error_ahead(position, tli);
		}
	}
	return barrier_wait(deadline);
}

/* When to stop waiting for a position. */
static TimestampTz
wait_deadline(Position position)
{
	TimestampTz now = GetCurrentTimestamp();

	if (position_is_set(position) && position_equal(position, waited_in_vain))
	{
		waited_in_vain = POSITION_NONE;
		if (guc_wait_timeout == waited_in_vain_ms)
			return now;
	}
	return TimestampTzPlusMilliseconds(now, guc_wait_timeout);
}

static void
error_timed_out(Position position)
{
	char		wanted[POSITION_TEXT_SIZE];
	char		reached[POSITION_TEXT_SIZE];
	Position	replayed;

	if (!RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
				 errmsg("a transaction that another node may have shown is still not visible here"),
				 errdetail("It is committed, but waits for a synchronous standby's acknowledgement."),
				 errhint("See pg_stat_replication for the standby, or raise consistency.wait_timeout.")));

	replayed.lsn = GetXLogReplayRecPtr(&replayed.tli);
	ereport(ERROR,
			(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
			 errmsg("replica did not reach position %s in time",
					position_text(position, wanted)),
			 errdetail("Replay has reached position %s.", position_text(replayed, reached)),
			 errhint("Retry, raise consistency.wait_timeout, connect to the primary, or accept older data with SET consistency = 'eventual'.")));
}

static void
error_snapshot_too_old(Position position)
{
	char		buf[POSITION_TEXT_SIZE];

	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the transaction's snapshot may be older than position %s",
					position_text(position, buf)),
			 errhint("Retry the transaction: this server has reached the position now.")));
}
