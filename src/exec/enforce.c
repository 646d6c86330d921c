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
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/errors.h"
#include "core/extension.h"
#include "core/guc.h"
#include "exec/enforce.h"
#include "exec/forward.h"
#include "exec/meet.h"
#include "exec/nesting.h"
#include "exec/routed_plan.h"
#include "session/token.h"
#include "stats/last_read.h"
#include "stats/violations.h"

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

/* The leader was confirmed ahead of the statement that starts next. */
static bool leader_confirmed_ahead = false;

/*
 * The transaction whose snapshot, which it keeps, was found to be good, or was
 * taken after a wait.
 */
static LocalTransactionId checked_transaction = InvalidLocalTransactionId;

/* What the statement that the client sent last is promised. */
static Declaration current;

/* It is about this server, not about data, and nothing is demanded of it. */
static bool about_this_server = false;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

static void consistency_ExecutorStart(QueryDesc *queryDesc, int eflags);
static void consistency_ExecutorRun(EXECUTOR_RUN_ARGS_DECL);
static void consistency_ExecutorFinish(QueryDesc *queryDesc);
static void enforce_statement(QueryDesc *queryDesc);
static bool demands_more(const QueryDesc *queryDesc, LastRead *last_read,
						 Requirement *requirement);
static Requirement note_promise(LastRead *last_read);
static void note_local_read(LastRead *last_read, int64 waited_us);
static void enforce_nested(QueryDesc *queryDesc);
static void declare(const QueryDesc *queryDesc, Declaration *declaration);
static bool reads_nothing(const PlannedStmt *plan);
static bool is_about_this_server(const PlannedStmt *plan);
static MeetFailure meet_for_query(QueryDesc *queryDesc, const Requirement *requirement,
								  TimestampTz deadline);
static MeetFailure meet_with_kept_snapshot(const Requirement *requirement, TimestampTz deadline,
										   Snapshot snapshot);
static bool go_to_primary(QueryDesc *queryDesc, MeetFailure failure);
static void answer_stale(const Declaration *declaration, MeetFailure failure);
static bool give_portal_snapshots_back(PortalSnapshots *given);
static void take_portal_snapshots(const PortalSnapshots *given, Snapshot snapshot);
static void meet_ahead(const Requirement *requirement, int timeout_ms);
static void require(MeetFailure failure, const Declaration *declaration,
					const Requirement *requirement);
static bool snapshot_is_fixed(void);
static TimestampTz wait_deadline(const Requirement *requirement, int timeout_ms);

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
	if (IsParallelWorker() || !extension_is_created())
		;
	else if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		declare(queryDesc, &current);
	else
	{
		if (nesting_depth > 0)
			enforce_nested(queryDesc);
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

/* What is a query promised? */
static void
declare(const QueryDesc *queryDesc, Declaration *declaration)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;
	int			location = plan->stmt_location;
	int			length = plan->stmt_len;

	nesting_find_statement(queryDesc->sourceText, &location, &length);
	declaration_of_statement(declaration, nesting_depth > 0 ? NULL : queryDesc->sourceText,
							 location, length, plan->relationOids);
}

/*
 * enforce_statement
 *		Keep what a statement that is about to start is promised.
 *
 * A plan that may leave decides for itself, when its scan begins.
 */
static void
enforce_statement(QueryDesc *queryDesc)
{
	LastRead   *last_read = last_read_begin();
	Requirement requirement;
	int64		waited_us = waited_ahead_us;

	waited_ahead_us = 0;
	declare(queryDesc, &current);
	requirement = note_promise(last_read);
	if (routed_plan_is_routed(queryDesc->plannedstmt))
		return;

	if (leader_confirmed_ahead && !RecoveryInProgress())
		requirement.leader = false;
	leader_confirmed_ahead = false;

	about_this_server = false;
	if (requirement_is_pending(&requirement, RecoveryInProgress()) &&
		!reads_nothing(queryDesc->plannedstmt) &&
		!(about_this_server = is_about_this_server(queryDesc->plannedstmt)))
	{
		TimestampTz start = GetCurrentTimestamp();
		TimestampTz deadline = wait_deadline(&requirement, current.wait_timeout_ms);
		MeetFailure failure;

		do
			failure = meet_for_query(queryDesc, &requirement, deadline);
		while (failure == MEET_OK && demands_more(queryDesc, last_read, &requirement));

		waited_us += GetCurrentTimestamp() - start;
		last_read->waited_us = waited_us;
		if (failure != MEET_OK && go_to_primary(queryDesc, failure))
			return;
		require(failure, &current, &requirement);
	}
	note_local_read(last_read, waited_us);
}

/*
 * demands_more
 *		Is the statement promised more than when the wait began, and is
 *		something still to be done for it?
 *
 * What this replica has replayed meanwhile may be a policy, and a position that
 * the session knows may be just where it was set.
 */
static bool
demands_more(const QueryDesc *queryDesc, LastRead *last_read, Requirement *requirement)
{
	Declaration now;

	if (!RecoveryInProgress())
		return false;
	declare(queryDesc, &now);
	if (declaration_covers(&current, &now))
		return false;
	current = now;
	*requirement = note_promise(last_read);
	return requirement_is_pending(requirement, true);
}

/* Tell consistency.last_read() what the statement is promised; what that demands. */
static Requirement
note_promise(LastRead *last_read)
{
	Requirement requirement = requirement_of(&current, session_context());

	last_read->level = level_name(current.level);
	last_read->source = current.source;
	last_read->relation = current.relation;
	last_read->requirement = requirement;
	return requirement;
}

/* The statement runs here, with a snapshot that was taken by now. */
static void
note_local_read(LastRead *last_read, int64 waited_us)
{
	last_read->waited_us = waited_us;
	if (waited_us >= LAST_READ_WAITED_US && strcmp(last_read->place, "local") == 0)
		last_read->place = "waited";

	session_observed_here();
	last_read->position = session_context()->observed;
	if (last_read->reason[0] == '\0')
		last_read->reason = RecoveryInProgress() ? "read at the replica that the client is connected to" :
			"plan can't leave the primary or isn't worth it";
}

/*
 * enforce_nested
 *		Keep what a query inside a function or trigger is promised, if that is
 *		more than what holds for the statement that called it.
 *
 * That comes of a setting of the function's own, or of the policies of tables
 * that only it reads.  What locks or writes rows sees their newest versions
 * anyhow.
 */
static void
enforce_nested(QueryDesc *queryDesc)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;
	Declaration declaration;
	Requirement requirement;

	if (!about_this_server && plan->commandType == CMD_SELECT && plan->rowMarks == NIL &&
		queryDesc->crosscheck_snapshot == InvalidSnapshot)
	{
		declare(queryDesc, &declaration);
		requirement = requirement_of(&declaration, session_context());
		if (!declaration_covers(&current, &declaration) &&
			requirement_is_pending(&requirement, RecoveryInProgress()))
			require(meet_for_query(queryDesc, &requirement,
								   wait_deadline(&requirement, declaration.wait_timeout_ms)),
					&declaration, &requirement);
	}
	/* It may see more than the statement that called it. */
	session_observed_here();
}

/*
 * Is the answer the same everywhere and at all times?  Or are settings set, as a
 * router does ahead of a query, when those of the query before must not count?
 */
static bool
reads_nothing(const PlannedStmt *plan)
{
	ListCell   *cell;

	if (plan->commandType != CMD_SELECT || plan->relationOids != NIL ||
		plan->invalItems != NIL || plan->subplans != NIL ||
		!IsA(plan->planTree, Result) || outerPlan(plan->planTree) != NULL ||
		((Result *) plan->planTree)->resconstantqual != NULL)
		return false;

	foreach(cell, plan->planTree->targetlist)
	{
		Node	   *value = (Node *) lfirst_node(TargetEntry, cell)->expr;

		if (IsA(value, FuncExpr) && ((FuncExpr *) value)->funcid == F_SET_CONFIG)
			value = (Node *) ((FuncExpr *) value)->args;
		if (contain_mutable_functions(value))
			return false;
	}
	return true;
}

/*
 * Does it only call a function of ours?  These tell about the server that they
 * run at; heartbeats among them, which nobody could answer for another one.
 */
static bool
is_about_this_server(const PlannedStmt *plan)
{
	RangeTblFunction *call;

	if (!IsA(plan->planTree, FunctionScan) || plan->relationOids != NIL)
		return false;
	call = linitial_node(RangeTblFunction, ((FunctionScan *) plan->planTree)->functions);
	return IsA(call->funcexpr, FuncExpr) &&
		extension_owns_schema(get_func_namespace(((FuncExpr *) call->funcexpr)->funcid));
}

/*
 * meet_for_query
 *		Meet a requirement for a query that has its snapshot already: give that
 *		back, wait, and take a new one, if possible.
 */
static MeetFailure
meet_for_query(QueryDesc *queryDesc, const Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure;
	Snapshot	snapshot;

	if (snapshot_is_fixed() || !ActiveSnapshotSet() ||
		queryDesc->snapshot != GetActiveSnapshot())
		return meet_with_kept_snapshot(requirement, deadline, queryDesc->snapshot);

	PopActiveSnapshot();
	UnregisterSnapshot(queryDesc->snapshot);
	queryDesc->snapshot = InvalidSnapshot;
	InvalidateCatalogSnapshot();

	failure = meet_with_new_snapshot(requirement, deadline, &snapshot);
	PushActiveSnapshot(snapshot);
	queryDesc->snapshot = RegisterSnapshot(GetActiveSnapshot());
	/* What was granted or revoked meanwhile counts. */
	AcceptInvalidationMessages();
	return failure;
}

/*
 * Meet a requirement with a snapshot that can't be given back.  A transaction's
 * is as good for its later statements.
 */
static MeetFailure
meet_with_kept_snapshot(const Requirement *requirement, TimestampTz deadline, Snapshot snapshot)
{
	MeetFailure failure;

	if (snapshot_is_fixed() && !position_is_set(requirement->position_here) &&
		checked_transaction == COMPAT_MY_LXID)
		return MEET_OK;
	failure = meet_with_fixed_snapshot(requirement, deadline, snapshot);
	if (failure == MEET_OK && snapshot_is_fixed())
		checked_transaction = COMPAT_MY_LXID;
	return failure;
}

/*
 * go_to_primary
 *		This replica can't keep the promise: have the query run at the primary,
 *		if that is what is wanted, and possible.
 */
static bool
go_to_primary(QueryDesc *queryDesc, MeetFailure failure)
{
	PlannedStmt *plan;

	if (!RecoveryInProgress() || guc_routing == ROUTING_OFF || IsolationUsesXactSnapshot() ||
		!nesting_may_leave(false) ||
		(failure != MEET_NOT_PRIMARY && current.on_timeout != ON_TIMEOUT_PRIMARY))
		return false;
	plan = forward_plan(queryDesc);
	if (plan == NULL)
		return false;
	queryDesc->plannedstmt = plan;
	return true;
}

/* A requirement wasn't met: answer all the same, with a warning, or not at all. */
static void
require(MeetFailure failure, const Declaration *declaration, const Requirement *requirement)
{
	if (failure == MEET_OK)
		return;
	if (declaration->on_timeout != ON_TIMEOUT_STALE || failure == MEET_NO_FENCE)
		meet_error(failure, requirement);
	answer_stale(declaration, failure);
}

static void
answer_stale(const Declaration *declaration, MeetFailure failure)
{
	LastRead   *last_read = last_read_current();

	last_read->place = "stale";
	last_read->reason = meet_failure_text(failure);
	violations_count(VIOLATION_STALE_ANSWER);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING_STALE_ANSWER),
			 errmsg("answer may be older than consistency level \"%s\" promises",
					level_name(declaration->level)),
			 errdetail("%s.", meet_failure_text(failure)),
			 errhint("That is what consistency.on_timeout = stale asks for.")));
}

/*
 * enforce_before_utility
 *		Meet the requirement ahead of a utility statement with a query in it,
 *		whose portal holds a snapshot for the time of the execution.
 *
 * Failing is left to the query's start, which looks again.
 */
void
enforce_before_utility(const char *text, int location, int length)
{
	Declaration declaration;
	Requirement requirement;
	PortalSnapshots given;
	TimestampTz start;

	declaration_of_statement(&declaration, text, location, length, NIL);
	requirement = requirement_of(&declaration, session_context());
	if (!requirement_is_pending(&requirement, RecoveryInProgress()) ||
		snapshot_is_fixed() || !give_portal_snapshots_back(&given))
		return;

	start = GetCurrentTimestamp();
	meet_ahead(&requirement, declaration.wait_timeout_ms);
	waited_ahead_us = GetCurrentTimestamp() - start;
	AcceptInvalidationMessages();
	take_portal_snapshots(&given, InvalidSnapshot);
}

/*
 * enforce_copy_of_table
 *		Keep what COPY of a table is promised: it reads without an executor.
 */
void
enforce_copy_of_table(const char *text, int location, int length, Oid relation)
{
	LastRead   *last_read = last_read_begin();
	int64		waited_us = waited_ahead_us;
	Requirement requirement;

	waited_ahead_us = 0;
	declaration_of_statement(&current, text, location, length, list_make1_oid(relation));
	requirement = note_promise(last_read);
	if (requirement_is_pending(&requirement, RecoveryInProgress()))
	{
		TimestampTz start = GetCurrentTimestamp();
		TimestampTz deadline = wait_deadline(&requirement, current.wait_timeout_ms);
		PortalSnapshots given;
		MeetFailure failure;

		if (snapshot_is_fixed() || !give_portal_snapshots_back(&given))
			failure = meet_with_kept_snapshot(&requirement, deadline, GetActiveSnapshot());
		else
		{
			Snapshot	snapshot;

			failure = meet_with_new_snapshot(&requirement, deadline, &snapshot);
			take_portal_snapshots(&given, snapshot);
			AcceptInvalidationMessages();
		}
		waited_us += GetCurrentTimestamp() - start;
		require(failure, &current, &requirement);
	}
	note_local_read(last_read, waited_us);
}

/*
 * Meet a requirement for the statement that starts next.  That one looks again;
 * but it needn't wait in vain again, nor confirm the leader anew.
 */
static void
meet_ahead(const Requirement *requirement, int timeout_ms)
{
	MeetFailure failure = meet_requirement(requirement, wait_deadline(requirement, timeout_ms));

	leader_confirmed_ahead = failure == MEET_OK && requirement->leader;
	if (failure == MEET_REPLAY_BEHIND)
	{
		waited_in_vain = requirement->position_here;
		waited_in_vain_ms = timeout_ms;
	}
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

/* Take this one, or a new one, for those that were given back. */
static void
take_portal_snapshots(const PortalSnapshots *given, Snapshot snapshot)
{
	if (given->active && snapshot != InvalidSnapshot)
	{
		PushActiveSnapshotWithLevel(snapshot, ActivePortal->createLevel);
		ActivePortal->portalSnapshot = GetActiveSnapshot();
	}
	else if (given->active)
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
	Declaration declaration;
	Requirement requirement;
	MeetFailure failure;

	if (!IsolationUsesXactSnapshot() || FirstSnapshotSet)
		return;
	declaration_of_settings(&declaration);
	requirement = requirement_of(&declaration, session_context());
	if (!requirement_is_pending(&requirement, RecoveryInProgress()))
		return;

	InvalidateCatalogSnapshot();
	failure = meet_for_transaction(&requirement,
								   wait_deadline(&requirement, declaration.wait_timeout_ms));
	require(failure, &declaration, &requirement);
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
	Declaration declaration;
	Requirement requirement;
	TimestampTz start;

	declaration_of_settings(&declaration);
	requirement = requirement_of(&declaration, session_context());
	requirement.max_staleness_ms = requirement.max_lag = -1;
	if (!RecoveryInProgress() || !position_is_set(requirement.position_here) ||
		requirement.leader || ActiveSnapshotSet() || snapshot_is_fixed())
		return;

	InvalidateCatalogSnapshot();
	start = GetCurrentTimestamp();
	meet_ahead(&requirement, declaration.wait_timeout_ms);
	waited_ahead_us = GetCurrentTimestamp() - start;
}

/* What the statement that is about to start is promised. */
const Declaration *
enforce_declaration(void)
{
	return &current;
}

/*
 * enforce_for_routed_scan
 *		Meet the requirement for a plan that could have left this server but
 *		runs here after all.  Returns the snapshot for it, registered; NULL: it
 *		is to run at the primary.
 */
Snapshot
enforce_for_routed_scan(const Declaration *declaration, Snapshot snapshot, bool may_forward,
						int64 *waited_us)
{
	Requirement requirement = requirement_of(declaration, session_context());
	TimestampTz start;
	TimestampTz deadline;
	MeetFailure failure;

	*waited_us = 0;
	if (!requirement_is_pending(&requirement, RecoveryInProgress()))
		return RegisterSnapshot(snapshot);

	start = GetCurrentTimestamp();
	deadline = wait_deadline(&requirement, declaration->wait_timeout_ms);
	if (snapshot_is_fixed())
		failure = meet_with_fixed_snapshot(&requirement, deadline, snapshot);
	else
		failure = meet_with_new_snapshot(&requirement, deadline, &snapshot);
	*waited_us = GetCurrentTimestamp() - start;

	if (failure != MEET_OK && may_forward && RecoveryInProgress() &&
		declaration->on_timeout == ON_TIMEOUT_PRIMARY)
		return NULL;
	require(failure, declaration, &requirement);
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
	MeetFailure failure;
	Requirement requirement = {.max_staleness_ms = -1,.max_lag = -1};

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

	requirement.position_here = position;
	gave_back = !snapshot_is_fixed() && give_portal_snapshots_back(&given);
	failure = meet_requirement(&requirement, deadline);
	if (failure != MEET_OK)
		meet_error(failure, &requirement);
	if (gave_back)
		take_portal_snapshots(&given, InvalidSnapshot);
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

/* Has the transaction a snapshot that it will keep? */
static bool
snapshot_is_fixed(void)
{
	return IsolationUsesXactSnapshot() && FirstSnapshotSet;
}

/* When to stop waiting. */
static TimestampTz
wait_deadline(const Requirement *requirement, int timeout_ms)
{
	TimestampTz now = GetCurrentTimestamp();

	if (position_is_set(requirement->position_here) &&
		position_equal(requirement->position_here, waited_in_vain))
	{
		waited_in_vain = POSITION_NONE;
		if (timeout_ms == waited_in_vain_ms)
			return now;
	}
	return TimestampTzPlusMilliseconds(now, timeout_ms);
}
