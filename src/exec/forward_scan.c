/*-------------------------------------------------------------------------
 *
 * forward_scan.c
 *	  Runs a query of a replica's client at the primary.
 *
 * A custom scan in the place of the whole plan (forward_plan.c).  It returns the
 * rows that come from there, and counts as processed what the primary says.
 *
 * Where a client wants rows in portions (a cursor, or a portal of the extended
 * protocol that is run for some rows at a time) there is a cursor at the primary,
 * of the same name, which is fetched from by the same portions, backwards too: it
 * then stands where the client's does, as WHERE CURRENT OF wants, and nothing is
 * held up in between.
 *
 * Rules make several queries of one statement.  The text is that of all of them,
 * so it is sent once, for the one whose rows and command tag the client gets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "exec/enforce.h"
#include "exec/forward_plan.h"
#include "exec/forward_scan.h"
#include "exec/forward_statement.h"
#include "exec/forward_transaction.h"
#include "exec/nesting.h"
#include "exec/remote_sql.h"
#include "requirement/requirement.h"
#include "session/session.h"
#include "stats/last_read.h"
#include "stats/wait_histogram.h"

typedef struct ForwardScanState
{
	CustomScanState css;
	ForwardText text;			/* the query's */
	Declaration declaration;	/* what it is promised */
	const char *reason;			/* why it runs there, for people */
	bool		writes;
	bool		keeps_state;	/* in the session over there */
	bool		falls_back;		/* it is a read that could have run here */
	int64		waited_us;		/* here, in vain */
	bool		scrolls;		/* its cursor was declared to go backwards */
	bool		skip;			/* another query of the statement is sent */
	bool		ended;			/* no more rows, and there is no cursor */
	char	   *cursor;			/* name of the cursor there, quoted; NULL:
								 * none */
	MemoryContextCallback on_reset; /* closes it */
	uint64		wanted;			/* rows that are fetched from it at a time; 0:
								 * all */
	uint64		fetched;		/* of these */
	char	   *node_name;		/* where it ran; NULL: it didn't, yet */
	ForwardStatement *statement;	/* under way; NULL: none */
	MemoryContext statement_context;	/* its lifetime */
} ForwardScanState;

static Node *create_state(CustomScan *scan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es);
static const char *reason_to_forward(const ForwardScanState *state);
static void start(ForwardScanState *state);
static void declare_cursor(ForwardScanState *state);
static void close_cursor(void *arg);
static const char *scroll_option(const ForwardScanState *state);
static void fetch(ForwardScanState *state);
static void command(ForwardScanState *state, char *sql, bool has_params);
static ForwardStatement *new_statement(ForwardScanState *state);
static void set_params(ForwardScanState *state, ForwardStatement *statement);
static void note_end(ForwardScanState *state);
static void forget_statement(ForwardScanState *state);

const CustomScanMethods forward_scan_methods = {
	.CustomName = FORWARD_PLAN_SCAN_NAME,
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = FORWARD_PLAN_SCAN_NAME,
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain_scan,
};

/* Make the scan known, so that plans with it can be read back. */
void
forward_scan_init(void)
{
	RegisterCustomScanMethods(&forward_scan_methods);
}

static Node *
create_state(CustomScan *scan)
{
	ForwardScanState *state = (ForwardScanState *) newNode(sizeof(ForwardScanState),
														   T_CustomScanState);

	state->css.methods = &exec_methods;
	state->writes = forward_plan_writes(scan);
	state->scrolls = forward_plan_scrolls(scan);
	state->keeps_state = forward_plan_is_advisory(scan);
	return (Node *) state;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	ForwardScanState *state = (ForwardScanState *) node;
	const PlannedStmt *plan = estate->es_plannedstmt;
	int			location = plan->stmt_location;
	int			length = plan->stmt_len;

	nesting_locate(estate->es_sourceText, true, &location, &length);
	state->text = forward_text_of_query(estate->es_sourceText, location, length);
	state->declaration = *enforce_declaration();
	state->statement_context = AllocSetContextCreate(estate->es_query_cxt,
													 "consistency forward scan",
													 ALLOCSET_SMALL_SIZES);
	state->falls_back = !state->writes && !state->declaration.leader &&
		!forward_transaction_is_open();
	state->waited_us = last_read_current()->waited_us;
	state->reason = reason_to_forward(state);
	state->skip = forward_statement_is_another(forward_plan_original((CustomScan *) node->ss.ps.plan, plan));
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && nesting_utility == T_DeclareCursorStmt)
		declare_cursor(state);
}

static const char *
reason_to_forward(const ForwardScanState *state)
{
	if (forward_transaction_is_open())
		return "transaction runs at the primary";
	if (state->writes)
		return "statement writes, or may write";
	if (state->declaration.leader)
		return "level is served by the primary only";
	return last_read_current()->reason;
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	ForwardScanState *state = (ForwardScanState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	if (state->skip || state->ended)
		return NULL;
	if (state->statement && !state->statement->running)
		forget_statement(state);	/* a portion was fetched */
	if (state->statement == NULL)
		start(state);

	if (!forward_statement_next(state->statement, slot))
	{
		note_end(state);
		state->ended = state->cursor == NULL;
		return NULL;
	}

	/* The connection must be free for others when the portion is handed out. */
	if (state->wanted != 0 && ++state->fetched == state->wanted)
	{
		(void) forward_statement_next(state->statement, NULL);
		note_end(state);
	}
	return slot;
}

/* Send the query, or fetch what is wanted from its cursor. */
static void
start(ForwardScanState *state)
{
	MemoryContext old;

	if (state->cursor == NULL && nesting_row_limit != 0)
		declare_cursor(state);

	old = MemoryContextSwitchTo(state->statement_context);
	state->statement = new_statement(state);
	state->statement->columns = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	if (state->cursor)
		fetch(state);
	else
	{
		state->statement->text = state->text;
		state->statement->many_rows = remote_sql_many_rows(state->css.ss.ps.plan);
		set_params(state, state->statement);
	}
	forward_statement_start(state->statement);
	MemoryContextSwitchTo(old);
}

/* Make a cursor at the primary for the client's. */
static void
declare_cursor(ForwardScanState *state)
{
	static uint32 number = 0;
	MemoryContext lifetime = state->css.ss.ps.state->es_query_cxt;
	const char *name = ActivePortal->name;

	state->cursor = MemoryContextStrdup(lifetime,
										name[0] ? quote_identifier(name) :
										psprintf("consistency_portal_%u", number++));
	command(state, psprintf("DECLARE %s%s CURSOR FOR %s", state->cursor,
							scroll_option(state), state->text.sql), true);
	forward_transaction_opened(state->cursor);

	/* A cursor that has failed isn't ended, only dropped. */
	state->on_reset.func = close_cursor;
	state->on_reset.arg = state;
	MemoryContextRegisterResetCallback(lifetime, &state->on_reset);
}

/* The client's is gone; unless its transaction is, close the one at the primary. */
static void
close_cursor(void *arg)
{
	if (IsTransactionState())
		forward_transaction_closed(((ForwardScanState *) arg)->cursor);
}

/*
 * Of a read, it was decided here whether the cursor can go backwards; for one
 * that writes the primary decides, unless the client has.
 */
static const char *
scroll_option(const ForwardScanState *state)
{
	if (ActivePortal->cursorOptions & CURSOR_OPT_NO_SCROLL)
		return " NO SCROLL";
	return state->scrolls ? " SCROLL" : "";
}

/* Run what concerns the cursor, and has no rows. */
static void
command(ForwardScanState *state, char *sql, bool has_params)
{
	MemoryContext old = MemoryContextSwitchTo(state->statement_context);

	state->statement = new_statement(state);
	state->statement->in_transaction = true;
	state->statement->text.sql = sql;
	if (has_params)
		set_params(state, state->statement);
	forward_statement_run(state->statement);
	MemoryContextSwitchTo(old);
	note_end(state);
	forget_statement(state);
}

/* Fetch as many rows as the client wants now. */
static void
fetch(ForwardScanState *state)
{
	const char *direction =
	ScanDirectionIsBackward(state->css.ss.ps.state->es_direction) ? "BACKWARD" : "FORWARD";

	state->wanted = nesting_row_limit;
	state->fetched = 0;
	state->statement->in_transaction = true;
	if (state->wanted == 0)
		state->statement->text.sql = psprintf("FETCH %s ALL FROM %s", direction, state->cursor);
	else
		state->statement->text.sql = psprintf("FETCH %s " UINT64_FORMAT " FROM %s", direction,
											  state->wanted, state->cursor);
}

static ForwardStatement *
new_statement(ForwardScanState *state)
{
	ForwardStatement *statement = palloc0(sizeof(ForwardStatement));

	statement->declaration = state->declaration;
	statement->writes = state->writes;
	statement->keeps_state = state->keeps_state;
	statement->falls_back = state->falls_back;
	statement->waited_us = state->waited_us;
	return statement;
}

/* The parameters that the client gave. */
static void
set_params(ForwardScanState *state, ForwardStatement *statement)
{
	ParamListInfo given = state->css.ss.ps.state->es_param_list_info;

	statement->params = forward_statement_params(given, &statement->nparams);
}

/* The primary has answered all of a statement. */
static void
note_end(ForwardScanState *state)
{
	EState	   *estate = state->css.ss.ps.state;

	forward_statement_note(state->statement, state->reason);
	if (state->node_name == NULL)
		state->node_name = MemoryContextStrdup(estate->es_query_cxt,
											   state->statement->route.node_name);
	if (estate->es_plannedstmt->commandType != CMD_SELECT)
		estate->es_processed = forward_statement_processed(state->statement);
}

static void
forget_statement(ForwardScanState *state)
{
	state->statement = NULL;
	MemoryContextReset(state->statement_context);
}

static void
end_scan(CustomScanState *node)
{
	ForwardScanState *state = (ForwardScanState *) node;

	if (state->statement)
		forward_statement_end(state->statement);
}

static void
rescan(CustomScanState *node)
{
	ForwardScanState *state = (ForwardScanState *) node;

	if (state->cursor)
		command(state, psprintf("MOVE ABSOLUTE 0 IN %s", state->cursor), false);
	else if (state->statement || state->ended)
		elog(ERROR, "a statement that runs at the primary can't be rewound");
}

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ForwardScanState *state = (ForwardScanState *) node;
	const Declaration *declaration = &state->declaration;
	Requirement requirement = requirement_of(declaration, session_context());
	char text[	REQUIREMENT_TEXT_SIZE];

	ExplainPropertyText("Level", level_name(declaration->level), es);
	ExplainPropertyText("Policy", declaration_source_text(declaration->source,
														  declaration->relation), es);
	ExplainPropertyText("Requirement", requirement_text(&requirement, text), es);
	ExplainPropertyText("Node", state->node_name ? state->node_name : "primary", es);
	ExplainPropertyText("Reason", state->reason, es);
	if (es->analyze && (state->waited_us >= WAIT_SHORTEST_US || es->format != EXPLAIN_FORMAT_TEXT))
		ExplainPropertyFloat("Waited", "ms", state->waited_us / 1000.0, 3, es);
	if (es->verbose)
		ExplainPropertyText("Remote SQL", state->text.sql, es);
}
