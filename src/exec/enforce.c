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
 * keeps its first one), the wait comes earlier, when there is none yet: ahead.c.
 * The check at the start of the execution is made all the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/guc.h"
#include "exec/about_server.h"
#include "exec/ahead.h"
#include "exec/enforce.h"
#include "exec/forward.h"
#include "exec/forward_plan.h"
#include "exec/forward_release.h"
#include "exec/meet.h"
#include "exec/nesting.h"
#include "exec/quorum_read.h"
#include "exec/replay_wait.h"
#include "exec/routed_plan.h"
#include "exec/write_quorum.h"
#include "node/node_state.h"
#include "remote/settings_report.h"
#include "stats/read_stats.h"

/* What the statement that the client sent last is promised. */
static Declaration current;

/* It is about this server, not about data, and nothing is demanded of it. */
static bool about_this_server = false;

/* It got a newer snapshot than the one that functions in it will find. */
static bool active_snapshot_is_older = false;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;

static void consistency_ExecutorStart(QueryDesc *queryDesc, int eflags);
static void consistency_ExecutorRun(EXECUTOR_RUN_ARGS_DECL);
static void consistency_ExecutorFinish(QueryDesc *queryDesc);
static void consistency_ExecutorEnd(QueryDesc *queryDesc);
static bool serves_clients(void);
static void enforce_statement(QueryDesc *queryDesc);
static void enforce_nested(QueryDesc *queryDesc, int eflags);
static List *relations_read(const PlannedStmt *plan);
static bool asks_for_no_rows(const PlannedStmt *plan);
static Requirement note_promise(void);
static void gather_for_route(Requirement *requirement);
static void note_quorum(const Requirement *requirement);
static MeetFailure meet_for_statement(QueryDesc *queryDesc, Requirement *requirement,
									  TimestampTz deadline, bool may_give_up);
static bool demands_more(const QueryDesc *queryDesc, Requirement *requirement);
static void declare(const QueryDesc *queryDesc, Declaration *declaration);
static MeetFailure meet_for_query(QueryDesc *queryDesc, Requirement *requirement,
								  TimestampTz deadline);
static bool active_snapshot_is_the_querys(const QueryDesc *queryDesc);
static bool has_own_snapshot(const QueryDesc *queryDesc);
static MeetFailure replace_active_snapshot(QueryDesc *queryDesc, Requirement *requirement,
										   TimestampTz deadline);
static MeetFailure replace_query_snapshot(QueryDesc *queryDesc, Requirement *requirement,
										  TimestampTz deadline);
static bool may_go_to_primary(const QueryDesc *queryDesc);
static bool go_to_primary(QueryDesc *queryDesc, MeetFailure failure, const Requirement *requirement);

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
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = consistency_ExecutorEnd;
}

static void
consistency_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (serves_clients() && extension_is_created())
	{
		if (nesting_depth > 0)
			enforce_nested(queryDesc, eflags);
		else if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		{
			declare(queryDesc, &current);
			forward_explained(queryDesc, current.leader);
		}
		else
			enforce_statement(queryDesc);
	}

	if (queryDesc->plannedstmt->resultRelations != NIL && !(eflags & EXEC_FLAG_EXPLAIN_ONLY) &&
		MyBackendType == B_BACKEND && extension_is_created())
		write_quorum_of_plan(queryDesc->plannedstmt);
	if (nesting_depth == 0)
		settings_report_touch();
	if (nesting_depth == 0 && !forward_plan_is(queryDesc->plannedstmt))
		nesting_executions++;

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
	bool		forwarded = nesting_depth == 0 && forward_plan_is(queryDesc->plannedstmt);
	ForwardRelease given = {0};

	if (nesting_depth == 0)
		nesting_row_limit = count;
	if (forwarded)
		given = forward_release_query(queryDesc);
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
	if (forwarded)
		forward_retake_query(queryDesc, given);
	if (nesting_depth == 0)
		read_stats_run(queryDesc, queryDesc->estate->es_processed);
}

/* Triggers run here, and what is left of modifying CTEs; nothing for most reads. */
static void
consistency_ExecutorFinish(QueryDesc *queryDesc)
{
	ExecutorFinish_hook_type finish =
	prev_ExecutorFinish ? prev_ExecutorFinish : standard_ExecutorFinish;

	if (queryDesc->operation == CMD_SELECT && !queryDesc->plannedstmt->hasModifyingCTE)
	{
		finish(queryDesc);
		return;
	}

	nesting_depth++;
	PG_TRY();
	{
		finish(queryDesc);
	}
	PG_FINALLY();
	{
		nesting_depth--;
	}
	PG_END_TRY();
}

static void
consistency_ExecutorEnd(QueryDesc *queryDesc)
{
	if (nesting_depth == 0 && nesting_executions > 0 && !forward_plan_is(queryDesc->plannedstmt))
		nesting_executions--;
	if (nesting_depth == 0)
		read_stats_end(queryDesc);
	if (prev_ExecutorEnd)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
}

/*
 * Does this process run what clients have sent, by itself?  A walsender reads
 * with its slot's snapshot, and autovacuum calls the functions of indexes.
 */
static bool
serves_clients(void)
{
	return !IsParallelWorker() && !am_walsender && MyBackendType != B_AUTOVAC_WORKER;
}

/* What is a query promised? */
static void
declare(const QueryDesc *queryDesc, Declaration *declaration)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;
	int			location = plan->stmt_location;
	int			length = plan->stmt_len;

	nesting_locate(queryDesc->sourceText, false, &location, &length);
	declaration_of_statement(declaration, nesting_depth > 0 ? NULL : queryDesc->sourceText,
							 location, length, relations_read(plan));
}

/*
 * The relations that a plan reads; views among them, as their owners have a say.
 * PostgreSQL's list has those as well that are only named, as a regclass.
 */
static List *
relations_read(const PlannedStmt *plan)
{
	List	   *relations = NIL;
	int			n = 0;
	ListCell   *cell;

	foreach(cell, plan->rtable)
		n += OidIsValid(lfirst_node(RangeTblEntry, cell)->relid);
	if (n == list_length(plan->relationOids))
		return plan->relationOids;

	foreach(cell, plan->rtable)
	{
		if (OidIsValid(lfirst_node(RangeTblEntry, cell)->relid))
			relations = lappend_oid(relations, lfirst_node(RangeTblEntry, cell)->relid);
	}
	return relations;
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
	AheadWait	ahead = ahead_take();
	Requirement requirement;

	declare(queryDesc, &current);
	if (ahead.read_quorum.gathered > 0 &&
		read_quorum_covers(&ahead.read_quorum, &current.read_quorum))
		current.read_quorum = ahead.read_quorum;
	requirement = note_promise();
	about_this_server = about_server(queryDesc->plannedstmt);
	if (!about_this_server)
		declaration_require_bound(&current);
	read_stats_begin(queryDesc, !about_this_server && queryDesc->operation == CMD_SELECT ?
					 &current : NULL, asks_for_no_rows(queryDesc->plannedstmt));
	active_snapshot_is_older = false;

	if (routed_plan_is_routed(queryDesc->plannedstmt) ||
		(!about_this_server && forward_execution(queryDesc)))
	{
		meet_check_history(&requirement);
		gather_for_route(&requirement);
		return;
	}

	if (ahead.leader_confirmed && !RecoveryInProgress())
		requirement.leader = false;
	/* What is written is confirmed by a quorum of its own. */
	if (queryDesc->operation != CMD_SELECT)
		requirement.read_quorum = (ReadQuorum)
	{
		0
	};

	last_read->waited_us = ahead.waited_us;
	if (!about_this_server && meet_is_pending(&requirement))
	{
		TimestampTz start = GetCurrentTimestamp();
		TimestampTz deadline = ahead.in_vain ? start :
		ahead_deadline(&requirement, current.wait_timeout_ms);
		MeetFailure failure = meet_for_statement(queryDesc, &requirement, deadline,
												 may_go_to_primary(queryDesc));

		last_read->waited_us = ahead.waited_us + GetCurrentTimestamp() - start;
		note_quorum(&requirement);
		if (failure != MEET_OK && go_to_primary(queryDesc, failure, &requirement))
			return;
		if (failure == MEET_GIVEN_UP)
		{
			/* It can't leave, and has to be waited for after all. */
			failure = meet_for_statement(queryDesc, &requirement, deadline, false);
			last_read->waited_us = ahead.waited_us + GetCurrentTimestamp() - start;
			note_quorum(&requirement);
		}
		meet_failure_handle(failure, &current, &requirement);
	}
	if (last_read->waited_us >= WAIT_SHORTEST_US && last_read->place == READ_LOCAL)
		last_read->place = READ_WAITED;

	session_observed_here();
	last_read->position = session_context()->observed;
	if (last_read->reason[0] == '\0')
		last_read->reason = RecoveryInProgress() ? "read at the replica that the client is connected to" :
			"plan can't leave the primary or isn't worth it";
}

/* Is it LIMIT 0, which tells the columns of a result? */
static bool
asks_for_no_rows(const PlannedStmt *plan)
{
	const Node *count = IsA(plan->planTree, Limit) ?
	((const Limit *) plan->planTree)->limitCount : NULL;

	return count && IsA(count, Const) && !((const Const *) count)->constisnull &&
		DatumGetInt64(((const Const *) count)->constvalue) == 0;
}

/* Tell consistency.last_read() what the statement is promised; what that demands. */
static Requirement
note_promise(void)
{
	Requirement requirement = requirement_of(&current, session_context());

	last_read_promise(&current, &requirement);
	return requirement;
}

/*
 * gather_for_route
 *		Ask a quorum of nodes ahead of a read that may leave this primary: what
 *		they tell decides who can serve it.
 *
 * What is sent from a replica to the primary isn't looked at: there it is asked
 * for.
 */
static void
gather_for_route(Requirement *requirement)
{
	LastRead   *last_read = last_read_current();
	TimestampTz start;
	MeetFailure failure;

	if (RecoveryInProgress() || requirement->leader || !read_quorum_is_asked(&requirement->read_quorum))
		return;
	start = GetCurrentTimestamp();
	failure = quorum_read_gather(requirement,
								 TimestampTzPlusMilliseconds(start, current.wait_timeout_ms));
	last_read->waited_us = GetCurrentTimestamp() - start;
	note_quorum(requirement);
	meet_failure_handle(failure, &current, requirement);
	if (failure != MEET_OK)
		current.read_quorum = (ReadQuorum)
	{
		0
	};
}

/*
 * What the nodes have told holds for all of the statement, wherever it runs; and
 * consistency.last_read() tells it.
 */
static void
note_quorum(const Requirement *requirement)
{
	if (!read_quorum_is_asked(&requirement->read_quorum))
		return;
	current.read_quorum = requirement->read_quorum;
	last_read_promise(&current, requirement);
}

/*
 * meet_for_statement
 *		Meet the requirement of a statement, and what it turns out to be meanwhile.
 */
static MeetFailure
meet_for_statement(QueryDesc *queryDesc, Requirement *requirement, TimestampTz deadline,
				   bool may_give_up)
{
	MeetFailure failure;

	do
	{
		requirement->may_give_up = may_give_up && current.on_timeout == ON_TIMEOUT_PRIMARY;
		failure = meet_for_query(queryDesc, requirement, deadline);
	} while (failure == MEET_OK && demands_more(queryDesc, requirement));
	return failure;
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
demands_more(const QueryDesc *queryDesc, Requirement *requirement)
{
	Declaration now;

	if (!RecoveryInProgress())
		return false;
	declare(queryDesc, &now);
	if (declaration_covers(&current, &now))
		return false;
	current = now;
	*requirement = note_promise();
	return meet_is_pending(requirement);
}

/*
 * enforce_nested
 *		Keep what a query inside a function or trigger is promised, if that is
 *		more than what holds for the statement that called it.
 *
 * That comes of a setting of the function's own, or of the policies of tables
 * that only it reads.  Otherwise what holds for the statement holds for later
 * snapshots, which volatile functions take; except that each must be a prefix of
 * the log by itself.  What locks or writes rows sees their newest versions
 * anyhow; and while the statement is still being planned nothing depends on the
 * answer.
 */
static void
enforce_nested(QueryDesc *queryDesc, int eflags)
{
	const PlannedStmt *plan = queryDesc->plannedstmt;
	Declaration declaration;
	Requirement requirement;

	if (!about_this_server && !nesting_planning && plan->commandType == CMD_SELECT && plan->rowMarks == NIL &&
		queryDesc->crosscheck_snapshot == InvalidSnapshot && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
	{
		declare(queryDesc, &declaration);
		declaration_require_bound(&declaration);
		requirement = requirement_of(&declaration, session_context());
		if (!active_snapshot_is_older && declaration_covers(&current, &declaration))
			requirement = (Requirement)
		{
			.prefix = current.prefix && has_own_snapshot(queryDesc),
				.max_staleness_ms = -1,.max_lag = -1
		};
		if (meet_is_pending(&requirement))
			meet_failure_handle(meet_for_query(queryDesc, &requirement,
											   ahead_deadline(&requirement, declaration.wait_timeout_ms)),
								&declaration, &requirement);
	}
	/* It may see more than the statement that called it. */
	session_observed_here();
}

/*
 * meet_for_query
 *		Meet a requirement for a query that has its snapshot already: give that
 *		back, wait, and take a new one, if possible.
 */
static MeetFailure
meet_for_query(QueryDesc *queryDesc, Requirement *requirement, TimestampTz deadline)
{
	MeetFailure failure;

	if (queryDesc->snapshot == InvalidSnapshot || !IsMVCCSnapshot(queryDesc->snapshot))
		return MEET_OK;
	if (meet_snapshot_is_fixed())
		return meet_with_fixed_snapshot(requirement, deadline, queryDesc->snapshot);

	if (active_snapshot_is_the_querys(queryDesc))
		failure = replace_active_snapshot(queryDesc, requirement, deadline);
	else
		failure = replace_query_snapshot(queryDesc, requirement, deadline);
	/* What was granted or revoked meanwhile counts. */
	AcceptInvalidationMessages();
	return failure;
}

/*
 * Was the active snapshot pushed for this query, by the portal or a utility
 * statement?  For a query inside a function it may be that of the caller, and
 * of an outer subtransaction, which would miss it once this one is rolled back.
 */
static bool
active_snapshot_is_the_querys(const QueryDesc *queryDesc)
{
	return nesting_depth == 0 && ActivePortal != NULL &&
		ActivePortal->createLevel == GetCurrentTransactionNestLevel() &&
		nesting_is_clients(queryDesc->sourceText) &&
		(nesting_may_leave(false) || nesting_utility == T_CreateTableAsStmt ||
		 nesting_utility == T_RefreshMatViewStmt) &&
		ActiveSnapshotSet() && queryDesc->snapshot == GetActiveSnapshot();
}

/* Was the query's snapshot taken for it alone, as for those of volatile functions? */
static bool
has_own_snapshot(const QueryDesc *queryDesc)
{
	return !meet_snapshot_is_fixed() && ActiveSnapshotSet() &&
		queryDesc->snapshot == GetActiveSnapshot() &&
		queryDesc->snapshot->active_count == 1 && queryDesc->snapshot->regd_count == 1;
}

/* Nothing is held during the wait. */
static MeetFailure
replace_active_snapshot(QueryDesc *queryDesc, Requirement *requirement,
						TimestampTz deadline)
{
	MeetFailure failure;
	Snapshot	snapshot;

	PopActiveSnapshot();
	UnregisterSnapshot(queryDesc->snapshot);
	queryDesc->snapshot = InvalidSnapshot;
	InvalidateCatalogSnapshot();

	failure = meet_with_new_snapshot(requirement, deadline, &snapshot);
	PushActiveSnapshot(snapshot);
	queryDesc->snapshot = RegisterSnapshot(GetActiveSnapshot());
	active_snapshot_is_older = false;
	return failure;
}

/*
 * The active snapshot stays, for whoever pushed it; the query reads with the new
 * one.  What functions in it read is enforced by itself.
 */
static MeetFailure
replace_query_snapshot(QueryDesc *queryDesc, Requirement *requirement,
					   TimestampTz deadline)
{
	Snapshot	old = queryDesc->snapshot;
	Snapshot	snapshot;
	MeetFailure failure = meet_with_new_snapshot(requirement, deadline, &snapshot);

	snapshot->curcid = old->curcid;
	queryDesc->snapshot = RegisterSnapshot(snapshot);
	UnregisterSnapshot(old);
	if (nesting_depth == 0)
		active_snapshot_is_older = true;
	return failure;
}

/* Could this query leave a replica, as far as that is known without a new plan? */
static bool
may_go_to_primary(const QueryDesc *queryDesc)
{
	return forward_is_possible() && !IsolationUsesXactSnapshot() &&
		nesting_may_leave(false) && nesting_is_clients(queryDesc->sourceText);
}

/*
 * go_to_primary
 *		This replica can't keep the promise: have the query run at the primary,
 *		if that is what is wanted, and possible.
 */
static bool
go_to_primary(QueryDesc *queryDesc, MeetFailure failure, const Requirement *requirement)
{
	NodeInfo	primary;

	if (!may_go_to_primary(queryDesc) ||
		(failure != MEET_NOT_PRIMARY && current.on_timeout != ON_TIMEOUT_PRIMARY) ||
		(current.on_timeout == ON_TIMEOUT_STALE && !node_state_primary(&primary)))
		return false;
	if (failure != MEET_NOT_PRIMARY)
		meet_failure_fall_back(failure);
	last_read_current()->reason = requirement->leader ? "level is served by the primary only" :
		replay_wait_reason();
	forward_read(queryDesc);
	return true;
}

/*
 * enforce_begin_utility
 *		A utility statement begins, and nothing was met for it yet: not for the
 *		functions of a cursor that it fetches from, either.
 */
void
enforce_begin_utility(void)
{
	current = (Declaration)
	{
		.max_staleness_ms = -1,
			.max_lag = -1,
	};
	about_this_server = false;
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
 *		runs here after all.  Returns the snapshot for it, registered.
 */
Snapshot
enforce_for_routed_scan(const Declaration *declaration, Snapshot snapshot, int64 *waited_us)
{
	Requirement requirement = requirement_of(declaration, session_context());
	TimestampTz start;
	TimestampTz deadline;
	MeetFailure failure;

	*waited_us = 0;
	if (!meet_is_pending(&requirement))
		return RegisterSnapshot(snapshot);

	start = GetCurrentTimestamp();
	deadline = ahead_deadline(&requirement, declaration->wait_timeout_ms);
	if (meet_snapshot_is_fixed())
		failure = meet_with_fixed_snapshot(&requirement, deadline, snapshot);
	else
		failure = meet_with_new_snapshot(&requirement, deadline, &snapshot);
	*waited_us = GetCurrentTimestamp() - start;

	meet_failure_handle(failure, declaration, &requirement);
	return RegisterSnapshot(snapshot);
}
