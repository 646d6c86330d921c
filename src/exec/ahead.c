/*-------------------------------------------------------------------------
 *
 * ahead.c
 *	  Waits ahead of a statement, while no snapshot is held.
 *
 * A query's requirement is met when its execution starts (enforce.c).  Some
 * queries can't give their snapshot back by then: utility statements hold one
 * for the query inside them, and a transaction of REPEATABLE READ keeps its
 * first one.  For these the wait comes here, earlier.  A failure is left to the
 * query's start, which looks again; except where there is no such thing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/errors.h"
#include "core/guc.h"
#include "exec/ahead.h"
#include "exec/meet.h"
#include "session/token.h"
#include "stats/read_stats.h"

/* What a portal held and gave back for the time of a wait */
typedef struct PortalSnapshots
{
	bool		active;			/* the one that it had made active */
	bool		hold;			/* the one kept for its result */
} PortalSnapshots;

/* What was done for the statement that starts next */
static AheadWait done;

/* A wait for this position timed out while importing it: don't wait again. */
static Position waited_in_vain;
static int	waited_in_vain_ms;	/* for how long */

static bool meet_for_portal(const Declaration *declaration, Requirement *requirement,
							MeetFailure *failure);
static bool may_give_up(const Declaration *declaration);
static void note_wait(TimestampTz start, MeetFailure failure, const Requirement *requirement);
static bool give_portal_snapshots_back(PortalSnapshots *given);
static void take_portal_snapshots(const PortalSnapshots *given, Snapshot snapshot);

PG_FUNCTION_INFO_V1(consistency_wait_for);

/*
 * ahead_of_utility
 *		Meet the requirement ahead of a utility statement with a query in it,
 *		whose portal holds a snapshot for the time of the execution.
 *
 * "may_leave": that query may run at the primary instead.
 */
void
ahead_of_utility(const char *text, int location, int length, bool may_leave)
{
	Declaration declaration;
	Requirement requirement;
	MeetFailure failure;

	declaration_of_statement(&declaration, text, location, length, NIL);
	requirement = requirement_of(&declaration, session_context());
	requirement.may_give_up = may_leave && may_give_up(&declaration);
	/* At a primary that can wait, and isn't needed if the query writes. */
	if (!RecoveryInProgress())
		requirement.read_quorum = (ReadQuorum)
	{
		0
	};
	if (meet_is_pending(&requirement))
		(void) meet_for_portal(&declaration, &requirement, &failure);
}

/*
 * ahead_of_copy
 *		Meet the requirement of COPY table TO, which reads without a query.
 */
void
ahead_of_copy(const char *text, int location, int length, Oid relation)
{
	Declaration declaration;
	Requirement requirement;
	MeetFailure failure;
	LastRead   *last_read = last_read_begin();

	declaration_of_statement(&declaration, text, location, length, list_make1_oid(relation));
	declaration_require_bound(&declaration);
	requirement = requirement_of(&declaration, session_context());
	last_read_promise(&declaration, &requirement);
	last_read->reason = "COPY of a table runs where the client is connected to";

	if (meet_is_pending(&requirement))
	{
		if (!meet_for_portal(&declaration, &requirement, &failure))
			failure = meet_with_fixed_snapshot(&requirement,
											   ahead_deadline(&requirement, declaration.wait_timeout_ms),
											   GetActiveSnapshot());
		last_read_promise(&declaration, &requirement);
		last_read->waited_us = ahead_take().waited_us;
		meet_failure_handle(failure, &declaration, &requirement);
		if (last_read->waited_us >= WAIT_SHORTEST_US && failure == MEET_OK)
			last_read->place = READ_WAITED;
	}
	session_observed_here();
	last_read->position = session_context()->observed;
	read_stats_utility(&declaration);
}

/*
 * ahead_of_first_snapshot
 *		Meet the requirement ahead of the only snapshot that a transaction of
 *		REPEATABLE READ or SERIALIZABLE will take.
 */
void
ahead_of_first_snapshot(void)
{
	Declaration declaration;
	Requirement requirement;
	MeetFailure failure;

	if (!IsolationUsesXactSnapshot() || FirstSnapshotSet)
		return;
	declaration_of_settings(&declaration);
	requirement = requirement_of(&declaration, session_context());
	if (!meet_is_pending(&requirement))
		return;

	InvalidateCatalogSnapshot();
	failure = meet_for_transaction(&requirement,
								   ahead_deadline(&requirement, declaration.wait_timeout_ms));
	meet_failure_handle(failure, &declaration, &requirement);
}

/*
 * ahead_after_import
 *		A token was handed in.  On a replica wait for it right away, so that
 *		the next statement is parsed against a catalog that is new enough.
 *
 * A timeout is nothing yet: the next statement may not need the position.
 */
void
ahead_after_import(void)
{
	Declaration declaration;
	Requirement requirement;
	TimestampTz start;
	MeetFailure failure;

	declaration_of_settings(&declaration);
	requirement = requirement_of(&declaration, session_context());
	requirement.max_staleness_ms = requirement.max_lag = -1;
	requirement.read_quorum = (ReadQuorum)
	{
		0
	};
	requirement.may_give_up = may_give_up(&declaration);
	if (!RecoveryInProgress() ||
		!(position_is_set(requirement.position_here) || position_is_set(requirement.older_here)) ||
		requirement.leader || ActiveSnapshotSet() || meet_snapshot_is_fixed())
		return;

	InvalidateCatalogSnapshot();
	start = GetCurrentTimestamp();
	failure = meet_requirement(&requirement,
							   ahead_deadline(&requirement, declaration.wait_timeout_ms));
	note_wait(start, failure, &requirement);
	done.in_vain = false;
	if (failure == MEET_REPLAY_BEHIND)
	{
		waited_in_vain = requirement.position_here;
		waited_in_vain_ms = declaration.wait_timeout_ms;
	}
}

/* Nothing was done for the statement that starts next. */
void
ahead_forget(void)
{
	memset(&done, 0, sizeof(done));
}

/* What was done for the statement that starts now; for this once. */
AheadWait
ahead_take(void)
{
	AheadWait	result = done;

	ahead_forget();
	return result;
}

/* When to stop waiting for a requirement: at once if that was in vain before. */
TimestampTz
ahead_deadline(const Requirement *requirement, int timeout_ms)
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

/*
 * Meet a requirement for the running portal, and note that.  False if its
 * snapshot can't be taken anew.
 */
static bool
meet_for_portal(const Declaration *declaration, Requirement *requirement,
				MeetFailure *failure)
{
	TimestampTz start = GetCurrentTimestamp();
	PortalSnapshots given;
	Snapshot	snapshot;

	if (meet_snapshot_is_fixed() || !give_portal_snapshots_back(&given))
		return false;
	*failure = meet_with_new_snapshot(requirement,
									  ahead_deadline(requirement, declaration->wait_timeout_ms),
									  &snapshot);
	take_portal_snapshots(&given, snapshot);
	AcceptInvalidationMessages();
	note_wait(start, *failure, requirement);
	return true;
}

/* Is it better to have a query run at the primary than to wait without hope? */
static bool
may_give_up(const Declaration *declaration)
{
	return declaration->on_timeout == ON_TIMEOUT_PRIMARY && guc_routing != ROUTING_OFF &&
		!IsolationUsesXactSnapshot();
}

/* A wait that was given up is left to the query's start, which does the same. */
static void
note_wait(TimestampTz start, MeetFailure failure, const Requirement *requirement)
{
	done.waited_us = GetCurrentTimestamp() - start;
	done.in_vain = failure != MEET_OK && failure != MEET_GIVEN_UP;
	done.leader_confirmed = failure == MEET_OK && requirement->leader;
	done.read_quorum = requirement->read_quorum;
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

/* Take new ones for those that were given back: this one, or any for NULL. */
static void
take_portal_snapshots(const PortalSnapshots *given, Snapshot snapshot)
{
	if (given->active && snapshot == NULL)
		EnsurePortalSnapshotExists();
	else if (given->active)
	{
		PushActiveSnapshotWithLevel(snapshot, ActivePortal->createLevel);
		ActivePortal->portalSnapshot = GetActiveSnapshot();
	}
	if (given->hold)
		ActivePortal->holdSnapshot =
			RegisterSnapshotOnOwner(GetActiveSnapshot(), ActivePortal->resowner);
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
	Token		token;
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
	token = token_parse_or_error(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (PG_ARGISNULL(1))
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_wait_timeout);
	else
		deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														   TimestampTzGetDatum(GetCurrentTimestamp()),
														   PG_GETARG_DATUM(1)));
	if (!position_is_set(token.newest))
		PG_RETURN_VOID();

	requirement.position_here = token.newest;
	requirement.older_here = token.older;
	gave_back = !meet_snapshot_is_fixed() && give_portal_snapshots_back(&given);
	failure = meet_requirement(&requirement, deadline);
	if (failure != MEET_OK)
		meet_failure_raise(failure, &requirement);
	if (gave_back)
		take_portal_snapshots(&given, NULL);
	PG_RETURN_VOID();
}

/* Is it the procedure above, which does its own waiting? */
bool
ahead_is_wait_for(Oid procedure)
{
	FmgrInfo	function;

	fmgr_info(procedure, &function);
	return function.fn_addr == consistency_wait_for;
}
