/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  Cancelling a statement at another node.
 *
 * A cancel request by libpq (before version 17) blocks for as long as the node
 * likes, goes without TLS, and can't be told from one that is lost.  So a
 * second connection is made, like the one whose statement is to be cancelled,
 * that calls pg_cancel_backend().  It has the same login, hence the right to.
 *
 * All of this runs with an interrupt pending, so it neither takes any nor
 * raises an error, and waits by poll(): a latch would be set already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <poll.h>

#include "pgstat.h"
#include "utils/timestamp.h"

#include "core/wait_event.h"
#include "remote/connection.h"

/* libpq knows fewer than half as many */
#define MAX_OPTIONS 128

static PGconn *connect_alike(PGconn *conn, TimestampTz deadline);
static bool await_connected(PGconn *conn, TimestampTz deadline);
static bool ask(PGconn *conn, const char *sql, TimestampTz deadline);
static bool await_answer(PGconn *conn, TimestampTz deadline);
static bool await_socket(PGconn *conn, short events, TimestampTz deadline);
static void ignore_message(void *arg, const char *message);

/*
 * connection_cancel
 *		Ask the other side to cancel what runs there over a connection, without
 *		reading the answer to that.
 *
 * False if that could not be asked in time, or would not reach it: behind a
 * pooler who answers next may be another server's session.
 */
bool
connection_cancel(RemoteConnection *connection, TimestampTz deadline)
{
	PGconn	   *conn;
	char		sql[256];
	bool		asked;

	if (connection->pooled || connection->conn == NULL ||
		PQstatus(connection->conn) != CONNECTION_OK)
		return false;

	/* Another server at this address has other processes of these numbers. */
	snprintf(sql, sizeof(sql),
			 "SELECT pg_catalog.pg_cancel_backend(%d) FROM consistency.node_status()"
			 " WHERE instance = " INT64_FORMAT,
			 connection->backend_pid, connection->instance);

	conn = connect_alike(connection->conn, deadline);
	asked = conn != NULL && ask(conn, sql, deadline);
	PQfinish(conn);
	return asked;
}

/*
 * Connect as "conn" did, to the very address, so that no name is looked up.
 * NULL in vain.
 */
static PGconn *
connect_alike(PGconn *conn, TimestampTz deadline)
{
	const char *keywords[MAX_OPTIONS + 1] = {NULL};
	const char *values[MAX_OPTIONS + 1] = {NULL};
	const char *address = PQhostaddr(conn);
	PQconninfoOption *options = PQconninfo(conn);
	PGconn	   *result;
	int			n = 0;

	for (PQconninfoOption *option = options; option && option->keyword && n < MAX_OPTIONS; option++)
	{
		bool		is_address = strcmp(option->keyword, "hostaddr") == 0;

		keywords[n] = option->keyword;
		values[n] = is_address && address[0] ? address : option->val;
		if (values[n])
			n++;
	}
	keywords[n] = values[n] = NULL;

	result = n > 0 ? PQconnectStartParams(keywords, values, false) : NULL;
	PQconninfoFree(options);
	if (result && !await_connected(result, deadline))
	{
		PQfinish(result);
		result = NULL;
	}
	return result;
}

static bool
await_connected(PGconn *conn, TimestampTz deadline)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (PQstatus(conn) == CONNECTION_BAD)
		return false;
	PQsetNoticeProcessor(conn, ignore_message, NULL);
	while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING)
	{
		if (!await_socket(conn, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return false;
		status = PQconnectPoll(conn);
	}
	return status == PGRES_POLLING_OK;
}

/* Send a query that returns one boolean; false as well if it can't be had. */
static bool
ask(PGconn *conn, const char *sql, TimestampTz deadline)
{
	PGresult   *result;
	bool		yes;

	if (PQsetnonblocking(conn, 1) != 0 || !PQsendQuery(conn, sql) ||
		!await_answer(conn, deadline))
		return false;
	result = PQgetResult(conn);
	yes = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	PQclear(result);
	return yes;
}

/* Wait until PQgetResult() doesn't block. */
static bool
await_answer(PGconn *conn, TimestampTz deadline)
{
	int			unsent;

	while ((unsent = PQflush(conn)) > 0 || PQisBusy(conn))
	{
		if (!await_socket(conn, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline) ||
			!PQconsumeInput(conn))
			return false;
	}
	return unsent == 0;
}

/* Wait for the socket; false once the deadline has passed. */
static bool
await_socket(PGconn *conn, short events, TimestampTz deadline)
{
	struct pollfd target = {.fd = PQsocket(conn),.events = events};
	int			rc;

	do
	{
		long		timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (timeout <= 0)
			return false;
		pgstat_report_wait_start(wait_event_remote());
		rc = poll(&target, 1, (int) Min(timeout, INT_MAX));
		pgstat_report_wait_end();
	} while (rc == 0 || (rc < 0 && errno == EINTR));
	return rc > 0;
}

static void
ignore_message(void *arg, const char *message)
{
}
