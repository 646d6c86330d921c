/*-------------------------------------------------------------------------
 *
 * forward_statement.c
 *	  One statement of a replica's client that runs at the primary.
 *
 * It is sent as text, with the parameters that the client gave, and with the
 * settings that it would find here; what comes of it is handed on as it comes:
 * rows, notices, the command tag, an error.
 *
 * Before it is sent, nothing has happened: if the primary can't be connected to,
 * another attempt is made until consistency.wait_timeout is over, for a failover
 * may be under way.  Afterwards it is never sent again.  If the connection then
 * breaks, what was part of a transaction is undone; of a transaction of its own
 * the outcome isn't known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/errors.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "exec/client_transaction.h"
#include "exec/fallback.h"
#include "exec/forward_statement.h"
#include "exec/forward_transaction.h"
#include "exec/node_connection.h"
#include "session/token.h"
#include "stats/last_read.h"

/* naps between attempts to connect to the primary, microseconds */
#define CONNECT_NAP 50000

static void prepare(ForwardStatement *statement);
static void begin(ForwardStatement *statement);
static void take_turn(ForwardStatement *statement);
static TimestampTz deadline_of(const ForwardStatement *statement);
static RemoteConnection *connect_to_primary(ForwardStatement *statement);
static bool worth_another_attempt(const RemoteError *error);
static void error_unreachable(const ForwardStatement *statement, const RemoteError *error) pg_attribute_noreturn();
static void settle_settings(ForwardStatement *statement);
static void send(ForwardStatement *statement, const RemoteQueryText *text);
static void check_columns(ForwardStatement *statement);
static void raise_cancel(RemoteError *error);
static void add_context(void *arg);
static void resume_cancel(ForwardStatement *statement);
static bool node_is_gone(void *arg);
static void give_up(void *arg);

/*
 * forward_statement_is_another
 *		Is a plan one of several that rules have made of the client's statement,
 *		and not the one for which the statement is sent?
 */
bool
forward_statement_is_another(const PlannedStmt *plan)
{
	const PlannedStmt *sent = NULL;
	bool		found = false;
	ListCell   *cell;

	if (!forward_statement_comes_of_rules())
		return false;
	foreach(cell, ActivePortal->stmts)
	{
		const PlannedStmt *other = lfirst_node(PlannedStmt, cell);

		if (sent == NULL || other->canSetTag)
			sent = other;
		found |= other == plan;
	}
	return found && sent != plan;
}

/* Have rules made several queries of the client's statement? */
bool
forward_statement_comes_of_rules(void)
{
	return ActivePortal != NULL && list_length(ActivePortal->stmts) > 1;
}

/* The parameters that the client gave, in the current memory context. */
const ParamExternData *
forward_statement_params(ParamListInfo given, int *nparams)
{
	ParamExternData *params;

	*nparams = given ? given->numParams : 0;
	params = palloc(sizeof(ParamExternData) * (*nparams + 1));
	for (int i = 0; i < *nparams; i++)
	{
		ParamExternData work;

		params[i] = given->paramFetch ? *given->paramFetch(given, i + 1, false, &work) :
			given->params[i];
	}
	return params;
}

/*
 * forward_statement_start
 *		Send the statement.
 *
 * It lives in the current memory context: if that goes before the statement's
 * end, it is given up.
 */
void
forward_statement_start(ForwardStatement *statement)
{
	RemoteQueryText to_send = {0};
	List	   *ahead;

	to_send.sql = pg_server_to_client(statement->text.sql, strlen(statement->text.sql));
	to_send.text_is_exact = true;

	if (statement->columns)
	{
		statement->reader = remote_row_reader(statement->columns);
		remote_row_format(statement->reader, &to_send);
	}
	remote_row_params(statement->params, statement->nparams, &to_send);
	/* Such a one has several results by the simple protocol. */
	to_send.text_is_exact = to_send.text_is_exact && !forward_statement_comes_of_rules();

	(void) forward_statement_connect(statement, &ahead);
	to_send.ahead = ahead;
	to_send.ticket = statement->alone && statement->writes && !statement->bare;
	to_send.many_rows = statement->many_rows && statement->alone && !statement->writes;

	send(statement, &to_send);
}

/*
 * forward_statement_connect
 *		Get the connection that the statement goes over, and what has to go ahead
 *		of it.  The statement counts as under way.
 */
RemoteConnection *
forward_statement_connect(ForwardStatement *statement, List **ahead)
{
	const Route *open = forward_transaction_route();

	prepare(statement);
	if (open)
	{
		statement->route.node = open->node;
		statement->route.node_name = open->node_name;
	}
	else
	{
		statement->query.connection = connect_to_primary(statement);
		if (!statement->alone)
			forward_transaction_begin(&statement->route, statement->query.connection);
	}
	if (!statement->alone)
		statement->query.connection = forward_transaction_enter();
	begin(statement);
	if (!open && (statement->bare || client_transaction_isolation() != XACT_READ_COMMITTED ||
				  !remote_settings_begin_plainly(statement->query.connection)))
		settle_settings(statement);
	*ahead = statement->alone ? NIL : forward_transaction_commands();
	return statement->query.connection;
}

/* It counts as under way. */
static void
begin(ForwardStatement *statement)
{
	statement->query.promise = statement->route.promise;
	statement->query.guarded = statement->writes || !statement->alone;
	statement->query.abandon = node_is_gone;
	statement->query.abandon_arg = statement;
	statement->query.connection->stale_answer = false;
	statement->query.connection->pinned |= statement->keeps_state;
	node_state_begin_statement(statement->route.node.slot, statement->route.node.generation);

	/*
	 * Rows come ahead of the commit: who stops between them doesn't know of
	 * it.
	 */
	statement->holds_cancel = statement->alone && statement->writes;
	if (statement->holds_cancel)
		HOLD_CANCEL_INTERRUPTS();

	statement->running = true;
	statement->on_reset.func = give_up;
	statement->on_reset.arg = statement;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &statement->on_reset);
}

/* What it is promised, and which transaction it belongs to. */
static void
prepare(ForwardStatement *statement)
{
	route_prepare(&statement->route, &statement->declaration);
	memset(&statement->query, 0, sizeof(statement->query));
	statement->row_came = false;
	statement->row_context = AllocSetContextCreate(CurrentMemoryContext,
												   "consistency forwarded row",
												   ALLOCSET_DEFAULT_SIZES);
	if (statement->in_transaction || forward_transaction_is_open())
		statement->alone = false;
	else
		statement->alone = !statement->writes ||
			forward_transaction_scope(statement->commits_itself) == FORWARD_ALONE;
	if (statement->falls_back)
		take_turn(statement);
}

/* It counts among those that have fallen back to the primary, until its end. */
static void
take_turn(ForwardStatement *statement)
{
	MemoryContext old;

	statement->turn = AllocSetContextCreate(CurrentMemoryContext, "consistency fallback",
											ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(statement->turn);
	fallback_begin(deadline_of(statement));
	MemoryContextSwitchTo(old);
}

/* How long it may be waited for before it is sent. */
static TimestampTz
deadline_of(const ForwardStatement *statement)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp() - statement->waited_us,
									   statement->declaration.wait_timeout_ms);
}

/* Find the primary, and connect to it. */
static RemoteConnection *
connect_to_primary(ForwardStatement *statement)
{
	TimestampTz deadline = deadline_of(statement);
	RemoteError error = {0};
	int			nap_us = CONNECT_NAP;

	do
	{
		RemoteConnection *connection;

		route_to_primary(&statement->route);
		if (!statement->route.remote && !route_await_primary(&statement->route, deadline))
			break;
		AcceptInvalidationMessages();	/* it may be declared anew by now */
		connection = node_connection_acquire(statement->route.node.serverid, &error);
		if (connection && !connection->in_recovery)
			return connection;
		if (connection)
		{
			connection_release(connection, false);
			remote_error_set(&error, ERRCODE_CONNECTION_FAILURE, "node is a replica");
		}
		node_state_request();
	} while (worth_another_attempt(&error) &&
			 nap(&nap_us, CONNECT_NAP, deadline, wait_event_primary()));
	error_unreachable(statement, &error);
}

/*
 * Class 08 is about connections, the others say that the server isn't ready for
 * any, or has just ended this one.
 */
static bool
worth_another_attempt(const RemoteError *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlstate) == ERRCODE_CONNECTION_EXCEPTION ||
		error->sqlstate == ERRCODE_CANNOT_CONNECT_NOW ||
		error->sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlstate == ERRCODE_CRASH_SHUTDOWN;
}

static void
error_unreachable(const ForwardStatement *statement, const RemoteError *error)
{
	const Route *route = &statement->route;
	const char *why = error->sqlstate == 0 ? route->reason :
	psprintf("Node \"%s\": %s", route->node_name, error->message);

	if (error->sqlstate == ERRCODE_TOO_MANY_CONNECTIONS && !error->from_server)
		remote_error_raise_own(error, NULL, 0);
	if (!RecoveryInProgress())
		forward_transaction_error_promoted();
	ereport(ERROR,
			(errcode(statement->writes ? ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION :
					 ERRCODE_CONSISTENCY_TIMEOUT),
			 statement->writes ? errmsg("could not send the statement to the primary") :
			 errmsg("this replica could not serve the read in time, and could not send it to the primary"),
			 errdetail("%s.", why),
			 errhint("See the view consistency.nodes for the primary's state; or raise consistency.wait_timeout.")));
}

/*
 * Bring the node's settings up to date ahead of the statement: it may be one with
 * which nothing can go along, or begin a transaction that keeps its snapshot,
 * which must not be that of the settings.
 */
static void
settle_settings(ForwardStatement *statement)
{
	RemoteQuery query = statement->query;
	RemoteQueryText text = {.sql = "SELECT",.text_is_exact = true};

	if (query.connection->pooled)
		return;
	send(statement, &text);
	while (remote_query_next_row(&statement->query, &statement->row))
		remote_row_free(&statement->row);
	if (statement->query.error.sqlstate != 0)
		forward_statement_fail(statement);
	/* it has the position now, which must not be sent once more */
	(void) node_connection_read_token(query.connection);
	statement->query = query;
}

/* Send it, behind what the node must know. */
static void
send(ForwardStatement *statement, const RemoteQueryText *text)
{
	Position	position = statement->route.requirement.position;
	Token		known = {position, statement->route.requirement.older_here};
	char		token[TOKEN_TEXT_SIZE];

	if (!remote_query_send(&statement->query, text, position,
						   token_format(known, GetSystemIdentifier(), token)))
		forward_statement_fail(statement);
	/* To send it took some look-ups; replay must not wait for us meanwhile. */
	InvalidateCatalogSnapshot();
}

/*
 * forward_statement_next
 *		Put the next row into the slot.  False at the end, when all is done.
 */
bool
forward_statement_next(ForwardStatement *statement, TupleTableSlot *slot)
{
	MemoryContext old;
	bool		has_row;

	if (!statement->running)
		return false;
	has_row = remote_query_next_row(&statement->query, &statement->row);
	statement->stale = statement->query.connection->stale_answer;
	if (!has_row)
	{
		if (statement->query.error.sqlstate != 0)
			forward_statement_fail(statement);
		forward_statement_done(statement);
		return false;
	}

	if (!statement->row_came)
		check_columns(statement);
	statement->row_came = true;

	MemoryContextReset(statement->row_context);
	old = MemoryContextSwitchTo(statement->row_context);
	if (statement->reader)
		remote_row_read(statement->reader, &statement->row, slot);
	remote_row_free(&statement->row);
	MemoryContextSwitchTo(old);
	return true;
}

/* The client was told which columns there are. */
static void
check_columns(ForwardStatement *statement)
{
	const PGresult *shape = statement->row.result ? statement->row.result : statement->query.shape;

	if (statement->reader == NULL || remote_row_fits(statement->reader, shape))
		return;

	/* Whether it is committed is known at its end. */
	remote_row_free(&statement->row);
	while (statement->alone && statement->writes &&
		   remote_query_next_row(&statement->query, &statement->row))
		remote_row_free(&statement->row);
	if (statement->query.error.sqlstate != 0)
		forward_statement_fail(statement);
	if (statement->query.finished)
		forward_statement_done(statement);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the statement returns other columns at the primary than at this replica"),
			 statement->alone && statement->writes ?
			 errdetail("It was run there, and is committed.") : 0,
			 errhint("A table was changed a moment ago.")));
}

/* Run it to its end, whatever rows there are. */
void
forward_statement_run(ForwardStatement *statement)
{
	forward_statement_start(statement);
	while (forward_statement_next(statement, NULL))
		;
}

/* All of it was read. */
void
forward_statement_done(ForwardStatement *statement)
{
	RemoteConnection *connection = statement->query.connection;

	statement->running = false;
	if (statement->turn)
		MemoryContextDelete(statement->turn);
	statement->turn = NULL;
	node_state_end_statement(statement->route.node.slot, statement->route.node.generation);
	if (statement->query.finished)
		remote_settings_return(connection, REMOTE_SETTINGS_DONE);
	if (!statement->alone)
		forward_transaction_leave(&statement->query);
	else
	{
		if (statement->writes)
			forward_transaction_committed(connection);
		else
			node_connection_read_token(connection);
		connection_release(connection, statement->query.finished);
	}
	resume_cancel(statement);
}

/* An error has reset all holds. */
static void
resume_cancel(ForwardStatement *statement)
{
	if (statement->holds_cancel && QueryCancelHoldoffCount > 0)
		RESUME_CANCEL_INTERRUPTS();
	statement->holds_cancel = false;
}

/*
 * forward_statement_fail
 *		It failed: query.error says how.  Raise that.
 */
void
forward_statement_fail(ForwardStatement *statement)
{
	RemoteQuery *query = &statement->query;
	bool		known = query->error.from_server && !query->error.fatal;
	bool		committed = statement->alone && statement->writes && query->sent;

	if (known)
		remote_query_recover(query);
	else
		node_state_saw_error(statement->route.node.slot, statement->route.node.generation,
							 query->error.message);
	forward_statement_end(statement);

	if (QueryCancelPending && (query->error.sqlstate == ERRCODE_QUERY_CANCELED) && (known || !committed))
		raise_cancel(&query->error);
	if (known)
		remote_error_raise_own(&query->error, statement->text.source, statement->text.offset);
	if (committed)
		forward_transaction_error_unknown(statement->route.node_name, query->ticket);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to node \"%s\" was lost", statement->route.node_name),
			 errdetail("%s.", query->error.message),
			 statement->alone ? 0 : errhint("Nothing of the transaction was committed: try it again.")));
}

/* The cancel came from here, and here it is known why; but there, where. */
static void
raise_cancel(RemoteError *error)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = add_context,
		.arg = error,
	};

	error_context_stack = &callback;
	CHECK_FOR_INTERRUPTS();
	error_context_stack = callback.previous;
}

static void
add_context(void *arg)
{
	const RemoteError *error = arg;

	if (error->context)
		errcontext("%s", error->context);
}

/* Be done with it, wherever it is. */
void
forward_statement_end(ForwardStatement *statement)
{
	give_up(statement);
}

/* Must not raise errors. */
static void
give_up(void *arg)
{
	ForwardStatement *statement = arg;
	RemoteQuery *query = &statement->query;

	if (!statement->running)
		return;
	statement->running = false;
	remote_row_free(&statement->row);
	PQclear(query->shape);
	query->shape = NULL;
	node_state_end_statement(statement->route.node.slot, statement->route.node.generation);
	if (!statement->alone)
		forward_transaction_leave(query);
	else
	{
		if (query->finished)
		{
			remote_settings_return(query->connection, REMOTE_SETTINGS_UNDONE);
			/* an error tells something, too */
			(void) node_connection_read_token(query->connection);
		}
		connection_release(query->connection, query->finished);
	}
	resume_cancel(statement);
}

/* Has the monitor lost the node while we wait for it, or was it replaced by us? */
static bool
node_is_gone(void *arg)
{
	ForwardStatement *statement = arg;

	return !RecoveryInProgress() ||
		node_state_is_down(statement->route.node.slot, statement->route.node.generation);
}

/* How many rows it has processed, by its command tag. */
uint64
forward_statement_processed(const ForwardStatement *statement)
{
	const char *count = strrchr(statement->query.tag, ' ');

	return count ? strtou64(count + 1, NULL, 10) : 0;
}

/* Its command tag, as PostgreSQL keeps it. */
void
forward_statement_completion(const ForwardStatement *statement, QueryCompletion *qc)
{
	char	   *name = pstrdup(statement->query.tag);
	int			length = strlen(name);

	/* INSERT has two numbers, of which the first is always 0. */
	while (length > 0 && (isdigit((unsigned char) name[length - 1]) || name[length - 1] == ' '))
		name[--length] = '\0';
	SetQueryCompletion(qc, GetCommandTagEnum(name), forward_statement_processed(statement));
}

/* Tell consistency.last_read(). */
void
forward_statement_note(const ForwardStatement *statement, const char *reason)
{
	LastRead   *last_read = last_read_current();

	strlcpy(last_read->node, statement->route.node_name, sizeof(last_read->node));
	last_read->place = statement->stale ? READ_STALE : READ_FORWARDED;
	last_read->position = statement->running ? statement->route.requirement.position :
		session_context()->elsewhere;
	last_read->reason = reason;
}
