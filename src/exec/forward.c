/*-------------------------------------------------------------------------
 *
 * forward.c
 *	  Does a statement of a replica's client run at the primary?
 *
 * It does if it needs the primary (writes.c), if its transaction is there
 * already, and, a read, if this replica can't keep what it is promised.  The
 * first is known when it is planned; the rest when it is executed.
 *
 * A plan may be older than what it was made for: then it is made anew from the
 * text.  That gives the same query: the plan cache as well analyses anew whatever
 * may have changed its meaning.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "parser/parser.h"
#include "replication/walsender.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/plancache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/guc.h"
#include "exec/client_transaction.h"
#include "exec/forward.h"
#include "exec/forward_plan.h"
#include "exec/forward_statement.h"
#include "exec/forward_transaction.h"
#include "exec/nesting.h"
#include "exec/writes.h"
#include "node/node_catalog.h"
#include "node/node_state.h"

/* A plan is made anew, for this server. */
static bool planning_for_here = false;

static void refuse_rows_of_rule(void);
static PlannedStmt *plan_for_here(const QueryDesc *queryDesc);
static PlannedStmt *plan_text(const QueryDesc *queryDesc, const char *text);

/* Can statements be sent from here to a primary? */
bool
forward_is_possible(void)
{
	return RecoveryInProgress() && guc_routing != ROUTING_OFF &&
		!am_walsender && !planning_for_here && extension_is_created() &&
		(node_state_primary_declared() || node_catalog_servers() != NIL);
}

/* Those that write, too? */
bool
forward_takes_writes(void)
{
	return guc_write_forwarding && forward_is_possible();
}

/* And may the transaction write, by the client's own will? */
bool
forward_may_write(void)
{
	return (forward_transaction_is_open() || !client_transaction_read_only()) &&
		forward_takes_writes();
}

/*
 * Is a query that is being planned to run at the primary?  The plan may be kept
 * for longer than the transaction: whether that may write is asked when it is
 * executed.
 */
bool
forward_query(Query *query, const char *text)
{
	return RecoveryInProgress() && nesting_may_leave(false) && !nesting_explains &&
		nesting_is_clients(text) && writes_query(query) && forward_takes_writes();
}

/*
 * forward_execution
 *		Is a client's query that is about to be executed to run at the primary?
 *		Its plan is made to fit.
 */
bool
forward_execution(QueryDesc *queryDesc)
{
	bool		planned = forward_plan_is(queryDesc->plannedstmt);
	bool		locks = planned &&
	forward_plan_is_advisory((CustomScan *) queryDesc->plannedstmt->planTree);

	if (!RecoveryInProgress())
	{
		/* A cached plan is older than this server's promotion. */
		forward_transaction_check_promotion();
		if (planned)
			queryDesc->plannedstmt = plan_for_here(queryDesc);
		return false;
	}
	if (!planned && !forward_transaction_is_open() && !forward_runs_portal())
		return false;
	if (!nesting_is_clients(queryDesc->sourceText) || !nesting_may_leave(false))
		return false;
	refuse_rows_of_rule();
	if (!planned)
		forward_read(queryDesc);
	else if (!forward_may_write() && !(locks && forward_takes_writes()))
	{
		queryDesc->plannedstmt = plan_for_here(queryDesc);
		return false;
	}
	return true;
}

/* The same for one that is only to be explained; see enforce.c for the rest. */
void
forward_explained(QueryDesc *queryDesc, bool leader)
{
	if (RecoveryInProgress() && !forward_plan_is(queryDesc->plannedstmt) &&
		(leader || forward_transaction_is_open()) && forward_is_possible())
		forward_read(queryDesc);
}

/*
 * forward_runs_portal
 *		Have rules made several queries of the client's statement, of which one
 *		runs at the primary?  Then all of them do, with it.
 */
bool
forward_runs_portal(void)
{
	ListCell   *cell;

	if (!forward_statement_comes_of_rules())
		return false;
	foreach(cell, ActivePortal->stmts)
	{
		if (forward_plan_is(lfirst_node(PlannedStmt, cell)))
			return true;
	}
	return false;
}

/*
 * The rows of a SELECT that a rule has added come ahead of those of the statement,
 * or behind them, without anything between.  Only clients that use the simple
 * protocol are given them at all.
 */
static void
refuse_rows_of_rule(void)
{
	ListCell   *cell;

	if (!forward_statement_comes_of_rules() || !nesting_is_simple_query())
		return;
	foreach(cell, ActivePortal->stmts)
	{
		const PlannedStmt *plan = lfirst_node(PlannedStmt, cell);

		if (plan->commandType == CMD_SELECT && !plan->canSetTag)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a rule that returns rows cannot be run from a replica"),
					 errhint("Connect to the primary for it.")));
	}
}

/* Have a query that could be executed here run at the primary. */
void
forward_read(QueryDesc *queryDesc)
{
	bool		scrolls = ActivePortal && (ActivePortal->cursorOptions & CURSOR_OPT_SCROLL) != 0;

	queryDesc->plannedstmt = forward_plan_of_plan(queryDesc->plannedstmt, scrolls);
}

/*
 * A plan of the query for this server: the one that there is was made for the
 * primary, when that was another one, or when the transaction could write.  After
 * a promotion all such plans are of no use any more.
 */
static PlannedStmt *
plan_for_here(const QueryDesc *queryDesc)
{
	const PlannedStmt *old = queryDesc->plannedstmt;
	int			location = old->stmt_location;
	int			length = old->stmt_len;
	bool		warns = escape_string_warning;
	PlannedStmt *plan;

	if (!RecoveryInProgress())
		ResetPlanCache();
	nesting_locate(queryDesc->sourceText, false, &location, &length);
	planning_for_here = true;
	escape_string_warning = false;	/* the client was warned */
	PG_TRY();
	{
		plan = plan_text(queryDesc,
						 forward_text_of_query(queryDesc->sourceText, location, length).sql);
	}
	PG_FINALLY();
	{
		planning_for_here = false;
		escape_string_warning = warns;
	}
	PG_END_TRY();
	return plan;
}

static PlannedStmt *
plan_text(const QueryDesc *queryDesc, const char *text)
{
	int			nparams;
	const ParamExternData *params = forward_statement_params(queryDesc->params, &nparams);
	Oid		   *types = palloc(sizeof(Oid) * (nparams + 1));
	RawStmt    *statement = linitial_node(RawStmt, pg_parse_query(text));
	ListCell   *cell;

	for (int i = 0; i < nparams; i++)
		types[i] = params[i].ptype;
	foreach(cell, pg_analyze_and_rewrite_fixedparams(statement, text, types, nparams,
													 queryDesc->queryEnv))
	{
		Query	   *query = lfirst_node(Query, cell);

		if (query->commandType == queryDesc->operation &&
			query->canSetTag == queryDesc->plannedstmt->canSetTag)
			return pg_plan_query(query, text,
								 ActivePortal ? ActivePortal->cursorOptions & CURSOR_OPT_SCROLL : 0,
								 queryDesc->params);
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the plan of the statement was made for another server"),
			 errhint("Prepare the statement again.")));
}
