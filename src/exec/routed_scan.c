/*-------------------------------------------------------------------------
 *
 * routed_scan.c
 *	  Runs a query that may leave: at another node, or here after all.
 *
 * A custom scan in the place of the whole plan (see routed_plan.c).  At its
 * beginning it decides where to run (route.c).  If the other node fails before
 * it has delivered the first row, whatever the reason, the query runs here:
 * nobody has seen anything yet, and if the query itself is at fault, the local
 * error is the genuine one.  After the first row there is no way back, and the
 * node's error is raised, with its name.
 *
 * The local plan runs in an executor of its own, with a snapshot that was
 * taken once the session's requirement was met here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/errors.h"
#include "exec/enforce.h"
#include "exec/fallback.h"
#include "exec/nesting.h"
#include "exec/routed_plan.h"
#include "exec/routed_remote.h"
#include "exec/routed_scan.h"
#include "session/session.h"
#include "stats/read_stats.h"

typedef struct RoutedScanState
{
	CustomScanState css;
	PlannedStmt *local_plan;
	char	   *sql;			/* for the other node */
	List	   *param_types;	/* OID list */
	List	   *local_exprs;	/* ExprStates of the last of those parameters */

	Route		route;
	char	   *node_name;		/* where the rows come from; NULL: here */
	TimestampTz remote_start;	/* when the query was sent */
	int64		waited_us;		/* for a quorum, for a node that failed, and
								 * for our own snapshot */
	int			retries;		/* nodes that failed */
	bool		fallen_back;	/* counted by fallback_begin() */
	bool		rows_delivered; /* there is no way back */
	bool		ended;			/* the last row was delivered */
	bool		stale;			/* the node warned that it answers stale */
	Position	position;		/* what its rows show at least; none: unknown */

	MemoryContext remote_context;	/* lifetime of "remote" */
	RoutedRemote *remote;		/* NULL: not started, or ended */
	QueryDesc  *local;			/* NULL: not started */
	Snapshot	local_snapshot; /* registered; NULL: the outer executor's */
} RoutedScanState;

static Node *create_state(CustomScan *scan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es);
static bool start_remote(RoutedScanState *state);
static ParamExternData *collect_params(RoutedScanState *state, int *nparams);
static TupleTableSlot *next_remote(RoutedScanState *state);
static void fall_back(RoutedScanState *state, const RemoteError *error);
static void begin_fallback(RoutedScanState *state);
static void handle_unserved(RoutedScanState *state);
static void start_local(RoutedScanState *state, int eflags);
static void enforce_local(RoutedScanState *state);
static TupleTableSlot *next_local(RoutedScanState *state);
static void end_local(RoutedScanState *state);
static void note_read(RoutedScanState *state);

static const CustomScanMethods scan_methods = {
	.CustomName = ROUTED_PLAN_SCAN_NAME,
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = ROUTED_PLAN_SCAN_NAME,
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain_scan,
};

/* Make the scan known, so that plans with it can be read back. */
void
routed_scan_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}

/* Wrap a plan. */
PlannedStmt *
routed_scan_plan(PlannedStmt *local, const RemoteSql *sql)
{
	return routed_plan_make(local, sql, &scan_methods);
}

static Node *
create_state(CustomScan *scan)
{
	RoutedScanState *state = (RoutedScanState *) newNode(sizeof(RoutedScanState),
														 T_CustomScanState);

	state->css.methods = &exec_methods;
	state->local_plan = list_nth_node(PlannedStmt, scan->custom_private, ROUTED_PLAN_LOCAL);
	state->sql = strVal(list_nth(scan->custom_private, ROUTED_PLAN_SQL));
	state->param_types = list_nth(scan->custom_private, ROUTED_PLAN_PARAM_TYPES);
	return (Node *) state;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	RoutedScanState *state = (RoutedScanState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;

	state->local_exprs = ExecInitExprList(list_nth(scan->custom_private,
												   ROUTED_PLAN_LOCAL_EXPRS),
										  &node->ss.ps);
	state->remote_context = AllocSetContextCreate(estate->es_query_cxt,
												  "consistency routed scan",
												  ALLOCSET_SMALL_SIZES);
	route_decide(&state->route, enforce_declaration());
	state->node_name = state->route.node_name;
	state->waited_us = last_read_current()->waited_us;

	/* EXPLAIN shows the local plan in any case. */
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) || estate->es_instrument)
		start_local(state, eflags);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	RoutedScanState *state = (RoutedScanState *) node;
	TupleTableSlot *slot = NULL;

	if (state->ended)
		return NULL;

	/*
	 * A node that has to stop sending rows until somebody fetches the next
	 * ones holds its snapshot meanwhile, and can't even be cancelled when
	 * replay needs it to go.
	 */
	if (state->route.remote && state->remote == NULL && nesting_row_limit != 0)
	{
		state->route.remote = false;
		state->route.reason = "rows are fetched in portions";
		state->node_name = NULL;
	}

	if (!state->route.remote && state->local_snapshot == NULL)
		enforce_local(state);
	if (state->route.remote)
	{
		if (state->remote != NULL || start_remote(state))
			slot = next_remote(state);
		if (!state->route.remote)
			enforce_local(state);
	}
	if (!state->route.remote)
		slot = next_local(state);

	if (TupIsNull(slot))
	{
		state->ended = true;
		note_read(state);
	}
	else if (!state->rows_delivered)
	{
		state->rows_delivered = true;
		note_read(state);
	}
	return slot;
}

static void
end_scan(CustomScanState *node)
{
	RoutedScanState *state = (RoutedScanState *) node;

	if (state->remote)
		routed_remote_end(state->remote);
	end_local(state);
}

/* From the beginning; with a new decision, as in a new execution. */
static void
rescan(CustomScanState *node)
{
	RoutedScanState *state = (RoutedScanState *) node;

	if (state->remote)
		routed_remote_end(state->remote);
	state->remote = NULL;
	MemoryContextReset(state->remote_context);
	state->ended = false;
	state->rows_delivered = false;
	if (state->local_snapshot)
		ExecReScan(state->local->planstate);
	else
	{
		Declaration declaration = state->route.declaration;

		route_decide(&state->route, &declaration);
		state->node_name = state->route.node_name;
	}
}

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	RoutedScanState *state = (RoutedScanState *) node;
	const Declaration *declaration = &state->route.declaration;
	char		requirement[REQUIREMENT_TEXT_SIZE];

	ExplainPropertyText("Level", level_name(declaration->level), es);
	ExplainPropertyText("Policy", declaration_source_text(declaration->source,
														  declaration->relation), es);
	ExplainPropertyText("Requirement", requirement_text(&state->route.requirement, requirement), es);
	ExplainPropertyText("Node", state->node_name ? state->node_name : "local", es);
	ExplainPropertyText("Reason", state->route.reason, es);
	if (es->analyze && (state->waited_us > 0 || es->format != EXPLAIN_FORMAT_TEXT))
		ExplainPropertyFloat("Waited", "ms", state->waited_us / 1000.0, 3, es);
	if (es->verbose)
		ExplainPropertyText("Remote SQL", state->sql, es);
}

/* Send the query.  False: it runs here. */
static bool
start_remote(RoutedScanState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->remote_context);
	RemoteError error = {0};
	ParamExternData *params;
	int			nparams;

	state->remote_start = GetCurrentTimestamp();
	params = collect_params(state, &nparams);
	state->remote = routed_remote_start(&state->route, state->sql, params, nparams,
										state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
										remote_sql_many_rows(state->css.ss.ps.plan),
										&error);
	MemoryContextSwitchTo(old);
	if (state->remote == NULL)
		fall_back(state, &error);
	return state->remote != NULL;
}

/* The client's parameters, and behind them what is evaluated here. */
static ParamExternData *
collect_params(RoutedScanState *state, int *nparams)
{
	ParamListInfo given = state->css.ss.ps.state->es_param_list_info;
	int			total = list_length(state->param_types);
	int			nlocal = list_length(state->local_exprs);
	ParamExternData *params = palloc0(sizeof(ParamExternData) * total);
	ListCell   *cell;
	int			i = 0;

	foreach(cell, state->param_types)
	{
		ParamExternData *param = &params[i];
		ParamExternData work;

		if (i >= total - nlocal)
		{
			ExprState  *expr = list_nth(state->local_exprs, i - (total - nlocal));

			param->value = ExecEvalExpr(expr, state->css.ss.ps.ps_ExprContext,
										&param->isnull);
		}
		else if (OidIsValid(lfirst_oid(cell)))
			*param = given->paramFetch ?
				*given->paramFetch(given, i + 1, false, &work) : given->params[i];
		else
			param->isnull = true;
		param->ptype = lfirst_oid(cell);
		i++;
	}
	*nparams = total;
	return params;
}

/* The next row from the other node; NULL at the end or after falling back. */
static TupleTableSlot *
next_remote(RoutedScanState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	RemoteError error = {0};

	bool		has_row = routed_remote_next(state->remote, slot, &error);

	state->stale = routed_remote_is_stale(state->remote);
	state->position = routed_remote_position(state->remote);
	if (has_row)
		return slot;

	state->remote = NULL;
	if (error.sqlstate != 0)
	{
		if (state->rows_delivered)
			remote_error_raise(&error, state->node_name);
		fall_back(state, &error);
	}
	return NULL;
}

/*
 * The other node failed, and nobody has seen a row: run the query here.
 */
static void
fall_back(RoutedScanState *state, const RemoteError *error)
{
	Route	   *route = &state->route;

	route->reason = MemoryContextStrdup(state->css.ss.ps.state->es_query_cxt,
										psprintf("node \"%s\" failed: %s",
												 state->node_name, error->message));
	route->remote = false;
	route->unserved = true;
	route->fallback = error->sqlstate == ERRCODE_CONSISTENCY_TIMEOUT ?
		FALLBACK_NODE_LATE : FALLBACK_NODE_FAILED;
	state->retries++;
	state->node_name = NULL;
	if (error->sqlstate == ERRCODE_CONSISTENCY_TIMEOUT)
		node_state_saw_lag(route->node.slot, route->node.generation,
						   (int64) route->promise.wait_timeout_ms * 1000);
	state->waited_us += GetCurrentTimestamp() - state->remote_start;
	node_state_saw_error(route->node.slot, route->node.generation, error->message);
	ereport(DEBUG1,
			(errmsg_internal("consistency: %s", route->reason)));
}

/* It counts among those that fell back to the primary, until the scan ends. */
static void
begin_fallback(RoutedScanState *state)
{
	MemoryContext old;

	if (state->fallen_back)
		return;
	old = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	fallback_begin(TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   state->route.declaration.wait_timeout_ms));
	MemoryContextSwitchTo(old);
	state->fallen_back = true;
}

/* No replica could serve a read that should have left this primary. */
static void
handle_unserved(RoutedScanState *state)
{
	if (state->route.declaration.on_timeout == ON_TIMEOUT_ERROR)
	{
		read_stats_refused(&state->route.declaration);
		ereport(ERROR,
				(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
				 errmsg("no replica could serve the read in time"),
				 errdetail("%s.", state->route.reason),
				 errhint("See the view consistency.nodes, or let such reads run at the primary with consistency.on_timeout = primary.")));
	}
	begin_fallback(state);
}

/*
 * start_local
 *		Set up the executor of the local plan.
 */
static void
start_local(RoutedScanState *state, int eflags)
{
	EState	   *estate = state->css.ss.ps.state;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

	state->local = CreateQueryDesc(state->local_plan, estate->es_sourceText,
								   estate->es_snapshot, InvalidSnapshot,
								   None_Receiver, estate->es_param_list_info,
								   estate->es_queryEnv, estate->es_instrument);
	standard_ExecutorStart(state->local, eflags);
	state->local->estate->es_use_parallel_mode = estate->es_use_parallel_mode;
	state->css.custom_ps = list_make1(state->local->planstate);
	MemoryContextSwitchTo(old);
}

/* Make sure that this server meets the requirement, then start. */
static void
enforce_local(RoutedScanState *state)
{
	EState	   *estate = state->css.ss.ps.state;
	bool		parallel = IsInParallelMode();
	int			eflags = estate->es_top_eflags;
	int64		waited_us;
	Snapshot	snapshot;

	if (state->route.unserved)
		handle_unserved(state);

	/* No worker runs yet, and no snapshot can be taken in parallel mode. */
	if (parallel)
		ExitParallelMode();
	snapshot = enforce_for_routed_scan(&state->route.declaration, estate->es_snapshot, &waited_us);
	if (parallel)
		EnterParallelMode();
	state->waited_us += waited_us;

	/* One that was set up only to be shown may have the older snapshot. */
	if (state->local && snapshot != estate->es_snapshot)
		end_local(state);

	PushActiveSnapshot(snapshot);
	if (state->local == NULL)
	{
		Snapshot	outer = estate->es_snapshot;

		estate->es_snapshot = snapshot;
		start_local(state, eflags);
		estate->es_snapshot = outer;
	}
	PopActiveSnapshot();
	state->local_snapshot = snapshot;
	session_observed_here();
}

/* The next row of the local plan; NULL at the end. */
static TupleTableSlot *
next_local(RoutedScanState *state)
{
	EState	   *estate = state->local->estate;
	TupleTableSlot *slot;

	estate->es_use_parallel_mode = state->css.ss.ps.state->es_use_parallel_mode;

	ResetPerTupleExprContext(estate);
	PushActiveSnapshot(state->local_snapshot);	/* functions read with it */
	slot = ExecProcNode(state->local->planstate);
	PopActiveSnapshot();

	if (!TupIsNull(slot) && estate->es_junkFilter)
		slot = ExecFilterJunk(estate->es_junkFilter, slot);
	return slot;
}

static void
end_local(RoutedScanState *state)
{
	if (state->local)
	{
		state->css.custom_ps = NIL;
		if (!(state->local->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY))
			standard_ExecutorFinish(state->local);
		standard_ExecutorEnd(state->local);
		FreeQueryDesc(state->local);
		state->local = NULL;
	}
	if (state->local_snapshot)
		UnregisterSnapshot(state->local_snapshot);
	state->local_snapshot = NULL;
}

/* Tell consistency.last_read(). */
static void
note_read(RoutedScanState *state)
{
	LastRead   *last_read = last_read_current();

	/* A cursor that is fetched from isn't the statement that is running. */
	if (nesting_depth > 1)
		return;

	if (state->node_name)
	{
		strlcpy(last_read->node, state->node_name, sizeof(last_read->node));
		last_read->place = state->stale || last_read->place == READ_STALE ?
			READ_STALE : READ_ROUTED;
		last_read->position = state->position;
	}
	else
	{
		last_read->node[0] = '\0';
		if (last_read->place != READ_STALE)
			last_read->place = state->waited_us >= WAIT_SHORTEST_US ? READ_WAITED : READ_LOCAL;
		last_read->position = session_context()->observed;
	}
	last_read->waited_us = state->waited_us;
	last_read->fallback = state->route.fallback;
	last_read->retries = state->retries;
	if (state->node_name == NULL && last_read->place == READ_STALE)
		return;					/* it has its reason */
	strlcpy(last_read->reason_text, state->route.reason, sizeof(last_read->reason_text));
	last_read->reason = last_read->reason_text;
}
