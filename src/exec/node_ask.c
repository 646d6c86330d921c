/*-------------------------------------------------------------------------
 *
 * node_ask.c
 *	  Asking a node something, as the current role, for a limited time.
 *
 * For what administrators ask, that needs none of what a client's statement
 * does: few rows, one message there and all rows back, no settings of the
 * client.  It goes over the connection that the caller's routed reads would use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/errors.h"
#include "exec/node_ask.h"
#include "exec/node_connection.h"
#include "remote/connection.h"

/* how often the deadline is looked at, while nothing comes */
#define WAIT_MS 100

static bool ask_over(RemoteConnection *connection, const NodeQuestion *question,
					 RemoteError *error);
static char *question_text(const RemoteConnection *connection, const NodeQuestion *question);
static bool send_and_read(RemoteConnection *connection, const NodeQuestion *question,
						  RemoteError *error);
static bool wait_for_result(RemoteConnection *connection, TimestampTz deadline,
							RemoteError *error);
static bool accept_result(PGconn *conn, const PGresult *result, const NodeQuestion *question,
						  RemoteError *error);
static bool is_worth_another_try(const NodeQuestion *question, const RemoteError *error);

/*
 * node_ask
 *		Ask a node.  False, with *error, if there is no answer.
 *
 * The caller's role must have a user mapping for it.
 */
bool
node_ask(Oid serverid, NodeQuestion *question, RemoteError *error)
{
	RemoteConnection *connection = connection_find(serverid, node_connection_user(serverid));
	bool		ok;

	/* One that was kept from earlier may be broken by now. */
	memset(error, 0, sizeof(*error));
	question->connected = connection != NULL;
	ok = connection != NULL && ask_over(connection, question, error);
	if (!ok && is_worth_another_try(question, error))
	{
		memset(error, 0, sizeof(*error));
		connection = node_connection_open(serverid, error);
		question->connected = connection != NULL;
		ok = connection != NULL && ask_over(connection, question, error);
	}
	if (!ok)
	{
		if (error->message == NULL)
			remote_error_set(error, ERRCODE_CONNECTION_FAILURE, "no answer");
		(void) errors_make_readable(error->message);
	}
	return ok;
}

/* A value of a result, in the server's encoding; NULL if it is null. */
char *
node_ask_value(const PGresult *result, int row, int column, int encoding)
{
	char	   *value = PQgetvalue(result, row, column);

	if (PQgetisnull(result, row, column))
		return NULL;
	return pstrdup(pg_any_to_server(value, strlen(value), encoding));
}

/* What the node itself has said won't change over another connection. */
static bool
is_worth_another_try(const NodeQuestion *question, const RemoteError *error)
{
	if (error->from_server && !error->fatal)
		return false;
	return GetCurrentTimestamp() < question->deadline;
}

/* The same over a connection, which is handed back. */
static bool
ask_over(RemoteConnection *connection, const NodeQuestion *question, RemoteError *error)
{
	bool		ok;

	PG_TRY();
	{
		ok = send_and_read(connection, question, error);
	}
	PG_CATCH();
	{
		connection_release(connection, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	connection_release(connection, ok);
	return ok;
}

static char *
question_text(const RemoteConnection *connection, const NodeQuestion *question)
{
	Oid			role = GetUserId();

	if (connection->peer)
		return psprintf("%s%s", question->settings, question->query);
	return psprintf("%s SET LOCAL role = %s; %s", question->settings,
					quote_literal_cstr(role == connection->login ? "none" :
									   GetUserNameFromId(role, false)),
					question->query);
}

/*
 * Send the query and read up to its end.
 *
 * Who asks is the current role, whatever the connection was last; at a peer it
 * is whoever the mapping names, and a single statement stays one there.
 */
static bool
send_and_read(RemoteConnection *connection, const NodeQuestion *question, RemoteError *error)
{
	PGconn	   *conn = connection->conn;
	char	   *text = question_text(connection, question);
	bool		ok = true;

	if (question->begin)
		question->begin(question->arg);
	if (!PQexitPipelineMode(conn) ||
		!PQsendQuery(conn, pg_server_to_any(text, strlen(text), PQclientEncoding(conn))))
	{
		remote_error_from_connection(error, conn);
		return false;
	}
	while (ok)
	{
		PGresult   *result;

		if (!wait_for_result(connection, question->deadline, error))
			return false;
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		PG_TRY();
		{
			ok = accept_result(conn, result, question, error);
		}
		PG_FINALLY();
		{
			PQclear(result);
		}
		PG_END_TRY();
	}
	return ok;
}

/* Wait until PQgetResult() doesn't block.  False, with *error, in vain. */
static bool
wait_for_result(RemoteConnection *connection, TimestampTz deadline, RemoteError *error)
{
	PGconn	   *conn = connection->conn;

	while (PQflush(conn) > 0 || PQisBusy(conn))
	{
		if (GetCurrentTimestamp() >= deadline)
		{
			remote_error_set(error, ERRCODE_CONNECTION_FAILURE, "no answer in time");
			return false;
		}
		(void) connection_wait(connection, WL_SOCKET_READABLE, WAIT_MS);
		if (!PQconsumeInput(conn))
		{
			remote_error_from_connection(error, conn);
			return false;
		}
	}
	return true;
}

/* Take the rows of a result, or its error.  False on error. */
static bool
accept_result(PGconn *conn, const PGresult *result, const NodeQuestion *question,
			  RemoteError *error)
{
	switch (PQresultStatus(result))
	{
		case PGRES_TUPLES_OK:
			question->accept(question->arg, result, PQclientEncoding(conn));
			return true;
		case PGRES_COMMAND_OK:
			return true;
		default:
			remote_error_from_setup(error, result, conn);
			return false;
	}
}
