/*-------------------------------------------------------------------------
 *
 * remote_query.c
 *	  One query at another node, its rows read as they come.
 *
 * Everything goes out in one pipeline, so that it costs one round trip:
 *
 *	  settings that differ from what the node's session has (set_config)
 *	  the position that it must have reached, if it doesn't know (SET
 *		consistency.token, which waits there before the query is parsed)
 *	  the statement, to be prepared, if its text was seen before
 *	  commands that the caller wants ahead of the query (BEGIN, SAVEPOINT)
 *	  the query
 *	  a question for the ticket by which the outcome of the transaction can be
 *		asked for later, whose answer comes before anything is committed
 *
 * All of it is one transaction over there, or the beginning of one; nothing is
 * run behind what failed.  After an error nobody knows what the node's session
 * was left with, and the connection isn't used again, unless the caller takes
 * care of that (remote_query_recover).
 *
 * A query without parameters for which there is nothing else to send goes as a
 * simple query: for one that isn't prepared that costs the node less.
 *
 * One with many rows goes as COPY (remote_copy.c).
 *
 * The answer's token comes as a parameter status ahead of the end of the
 * pipeline, at no extra cost.  Not so behind a pooler: the session may have told
 * its last client already.  There it is asked for, behind the query.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "remote/remote_copy.h"
#include "remote/remote_prepared.h"
#include "remote/remote_query.h"
#include "remote/remote_settings.h"

/* how often to ask whether to give up, while nothing comes: milliseconds */
#define ABANDON_CHECK_MS 100

/* how long a node may take to heed a cancel, milliseconds */
#define CANCEL_LIMIT_MS 5000

/* the prepared statement that asks for the ticket */
#define TICKET_NAME "consistency_ticket"

/* tells what the other side's session has seen */
#define TOKEN_SQL "SELECT consistency.token()"

/* the first of a transaction: a pooler's session may have another default */
#define BEGIN_POOLED_SQL "SET transaction_isolation = 'read committed'"

static bool send_command(RemoteQuery *query, const char *sql);
static bool begin_pooled(RemoteQuery *query, const List *ahead);
static bool send_ahead(RemoteQuery *query, const List *ahead);
static bool send_query(RemoteQuery *query, const RemoteQueryText *text);
static bool send_behind(RemoteQuery *query, const RemoteQueryText *text);
static bool send_housekeeping(RemoteQuery *query);
static bool skip_setup(RemoteQuery *query);
static void finish(RemoteQuery *query);
static PGresult *read_answer(RemoteQuery *query, ExecStatusType expected);
static bool end_answer(RemoteQuery *query, PGresult *result);
static bool read_token(RemoteQuery *query);
static bool read_ticket(RemoteQuery *query);
static bool read_commit(RemoteQuery *query);
static bool is_error(const PGresult *result);
static bool pass_cancel_on(RemoteQuery *query);

/*
 * remote_query_send
 *		Send a query over the connection in *query, which the caller has
 *		acquired.
 *
 * The node is told to reach "position" first (given as a token), unless its
 * session knows of that already.  False and query->error on failure; whether
 * the connection can be used again tells query->finished.
 */
bool
remote_query_send(RemoteQuery *query, const RemoteQueryText *text,
				  Position position, const char *token)
{
	RemoteConnection *connection = query->connection;
	PGconn	   *conn = connection->conn;

	if (remote_copy_is_better(query, text))
		return remote_copy_send(query, text,
								position_before(connection->position, position) ? token : NULL);

	query->wants_ticket = text->ticket;
	query->commits = text->commit;

	if (!PQenterPipelineMode(conn))
	{
		remote_query_fail(query, NULL);
		return false;
	}
	if (!send_housekeeping(query) ||
		(connection->pooled && !begin_pooled(query, text->ahead)) ||
		!remote_query_send_settings(query))
		return false;

	if (position_before(connection->position, position) &&
		!send_command(query, psprintf("SET consistency.token = '%s'", token)))
		return false;

	if (!connection->pooled && !send_ahead(query, text->ahead))
		return false;
	if (!send_query(query, text) || !send_behind(query, text) ||
		(!query->simple && !PQpipelineSync(conn)))
	{
		remote_query_fail(query, NULL);
		return false;
	}
	if (query->setup_commands == 0)
		PQsetSingleRowMode(conn);
	return remote_query_flush(query);
}

/*
 * remote_query_next_row
 *		Wait for the next row; the caller frees it with remote_row_free().
 *
 * False after the last row, with query->finished set, and on failure, with
 * query->error set.
 */
bool
remote_query_next_row(RemoteQuery *query, RemoteRow *row)
{
	PGresult   *result;

	memset(row, 0, sizeof(*row));
	if (query->copy)
		return remote_copy_next_row(query, row);

	if (!query->started)
	{
		if (!skip_setup(query))
			return false;
		query->started = true;
	}

	result = remote_query_next_result(query);
	if (result == NULL)
	{
		if (query->error.sqlstate == 0)
			remote_error_set(&query->error, ERRCODE_PROTOCOL_VIOLATION,
							 "unexpected end of results");
		return false;
	}
	if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
	{
		row->result = result;
		return true;
	}

	if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
	{
		strlcpy(query->tag, PQcmdStatus(result), sizeof(query->tag));
		finish(query);
	}
	else
		remote_query_fail(query, result);
	PQclear(result);
	return false;
}

/* Free what a row came in. */
void
remote_row_free(RemoteRow *row)
{
	PQclear(row->result);
	if (row->copy)
		PQfreemem(row->copy);
	memset(row, 0, sizeof(*row));
}

/* Queue the statement that brings the other side's settings up to date, if any. */
bool
remote_query_send_settings(RemoteQuery *query)
{
	RemoteConnection *connection = query->connection;
	RemoteSettingsChange change;

	if (!remote_settings_change(connection, &query->promise, &change))
		return true;			/* nothing to do */

	if (!PQsendQueryParams(connection->conn, change.sql, change.nvalues, NULL,
						   (const char *const *) change.values, NULL, NULL, 0))
	{
		remote_query_fail(query, NULL);
		return false;
	}
	query->setup_commands++;
	return true;
}

/* Queue a command ahead of the query. */
static bool
send_command(RemoteQuery *query, const char *sql)
{
	if (!PQsendQueryParams(query->connection->conn, sql, 0, NULL, NULL, NULL, NULL, 0))
	{
		remote_query_fail(query, NULL);
		return false;
	}
	query->setup_commands++;
	return true;
}

/*
 * Behind a pooler a transaction is begun before the settings, which last no
 * longer than it.  An implicit one has the session's isolation unless told so.
 */
static bool
begin_pooled(RemoteQuery *query, const List *ahead)
{
	if (ahead == NIL && PQtransactionStatus(query->connection->conn) == PQTRANS_IDLE)
		return send_command(query, BEGIN_POOLED_SQL);
	return send_ahead(query, ahead);
}

/* Queue what has to do with prepared statements only. */
static bool
send_housekeeping(RemoteQuery *query)
{
	RemoteConnection *connection = query->connection;

	if (remote_prepared_drop_outdated(connection))
	{
		if (!send_command(query, "DEALLOCATE ALL"))
			return false;
		connection->has_ticket = false;
	}
	if (query->wants_ticket && !connection->has_ticket && !connection->pooled)
	{
		if (!PQsendPrepare(connection->conn, TICKET_NAME, REMOTE_QUERY_TICKET_SQL, 0, NULL))
		{
			remote_query_fail(query, NULL);
			return false;
		}
		query->ticket_prepared_by = ++query->setup_commands;
	}
	return true;
}

/* Queue the commands that go ahead of the query. */
static bool
send_ahead(RemoteQuery *query, const List *ahead)
{
	ListCell   *cell;

	foreach(cell, ahead)
	{
		if (!send_command(query, lfirst(cell)))
			return false;
	}
	return true;
}

/*
 * Queue what comes behind the query.  The ticket's answer is asked to be sent
 * ahead of what follows, which may be the commit.
 */
static bool
send_behind(RemoteQuery *query, const RemoteQueryText *text)
{
	PGconn	   *conn = query->connection->conn;

	if (query->connection->pooled &&
		!PQsendQueryParams(conn, TOKEN_SQL, 0, NULL, NULL, NULL, NULL, 0))
		return false;
	if (text->ticket && !query->connection->pooled &&
		!PQsendQueryPrepared(conn, TICKET_NAME, 0, NULL, NULL, NULL, 0))
		return false;
	if (text->ticket && query->connection->pooled &&
		!PQsendQueryParams(conn, REMOTE_QUERY_TICKET_SQL, 0, NULL, NULL, NULL, NULL, 0))
		return false;
	if ((text->ticket || text->commit) &&!PQsendFlushRequest(conn))
		return false;
	return !text->commit ||
		PQsendQueryParams(conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 0);
}

/* Queue the query itself: prepared where its text was seen before. */
static bool
send_query(RemoteQuery *query, const RemoteQueryText *text)
{
	PGconn	   *conn = query->connection->conn;
	const RemotePrepared *prepared = remote_prepared_find(query->connection, text->sql,
														  text->param_types, text->nparams);
	char		name[REMOTE_PREPARED_NAME_SIZE];

	if (prepared == NULL && text->nparams == 0 && text->text_is_exact && !text->ticket &&
		!query->connection->pooled &&
		query->setup_commands == 0)
	{
		query->simple = true;
		return PQexitPipelineMode(conn) && PQsendQuery(conn, text->sql);
	}
	if (prepared == NULL)
		return PQsendQueryParams(conn, text->sql, text->nparams, text->param_types,
								 text->param_values, text->param_lengths,
								 text->param_formats, text->result_format);

	(void) remote_prepared_name(prepared, name);
	if (!prepared->there)
	{
		if (!PQsendPrepare(conn, name, text->sql, text->nparams, text->param_types))
			return false;
		query->setup_commands++;
		query->prepares = true;
		query->prepared_key = prepared->key;
	}
	return PQsendQueryPrepared(conn, name, text->nparams, text->param_values,
							   text->param_lengths, text->param_formats,
							   text->result_format);
}

/* Push out what is queued. */
bool
remote_query_flush(RemoteQuery *query)
{
	PGconn	   *conn = query->connection->conn;
	int			rc;

	while ((rc = PQflush(conn)) > 0)
	{
		if (!remote_query_wait(query, WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
			return false;
		if (!PQconsumeInput(conn))
			break;
	}
	if (rc == 0)
	{
		query->sent = true;
		return true;
	}
	remote_query_fail(query, NULL);
	return false;
}

/* Wait for the next result; NULL between commands or when query->error is set. */
PGresult *
remote_query_next_result(RemoteQuery *query)
{
	PGconn	   *conn = query->connection->conn;

	while (PQisBusy(conn))
	{
		if (!remote_query_wait(query, WL_SOCKET_READABLE))
			return NULL;
		if (!PQconsumeInput(conn))
		{
			remote_query_fail(query, NULL);
			return NULL;
		}
	}
	return PQgetResult(conn);
}

/*
 * skip_setup
 *		Read the answers to what went ahead of the query.  False, with
 *		query->error, if any of it failed.
 */
static bool
skip_setup(RemoteQuery *query)
{
	int			done = 0;

	if (query->setup_commands == 0)
		return true;

	for (; query->setup_commands > 0; query->setup_commands--)
	{
		PGresult   *result;

		/*
		 * The first command may find single-row mode still on, if a simple
		 * query was the last to use the connection.
		 */
		while ((result = remote_query_next_result(query)) != NULL)
		{
			ExecStatusType status = PQresultStatus(result);

			if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
				status != PGRES_SINGLE_TUPLE)
				remote_query_fail(query, result);
			PQclear(result);
			if (query->error.sqlstate != 0)
				return false;
		}
		if (query->error.sqlstate != 0)
			return false;

		if (query->setup_commands == 1 && query->prepares)
			remote_prepared_is_there(query->connection, query->prepared_key);
		if (++done == query->ticket_prepared_by)
			query->connection->has_ticket = true;
	}
	PQsetSingleRowMode(query->connection->conn);
	return true;
}

/*
 * finish
 *		All rows were read: read up to the end of the pipeline, so that the
 *		connection is idle again.
 */
static void
finish(RemoteQuery *query)
{
	PGresult   *result;

	/* A NULL ends the query's results; all there is in a simple query. */
	result = remote_query_next_result(query);
	if (query->connection->pooled && query->error.sqlstate == 0 && !read_token(query))
		return;
	if (query->wants_ticket && query->error.sqlstate == 0 && !read_ticket(query))
		return;
	if (query->commits && query->error.sqlstate == 0 && !read_commit(query))
		return;
	if (!query->simple && query->error.sqlstate == 0)
	{
		Assert(result == NULL);
		result = remote_query_next_result(query);
		if (query->error.sqlstate == 0 && is_error(result))
			remote_query_fail(query, result);
		else if (query->error.sqlstate == 0 && PQresultStatus(result) != PGRES_PIPELINE_SYNC)
			remote_error_set(&query->error, ERRCODE_PROTOCOL_VIOLATION,
							 "unexpected end of results");
	}
	PQclear(result);
	query->finished = (query->error.sqlstate == 0);
}

/*
 * Read the answer to a command that went behind the query.  NULL, with query->error,
 * if it isn't of the kind that is expected.
 */
static PGresult *
read_answer(RemoteQuery *query, ExecStatusType expected)
{
	PGresult   *result = remote_query_next_result(query);

	if (query->error.sqlstate != 0)
		return NULL;
	if (PQresultStatus(result) == expected)
		return result;
	remote_query_fail(query, result);
	PQclear(result);
	return NULL;
}

/* Be done with an answer, and read the NULL behind it. */
static bool
end_answer(RemoteQuery *query, PGresult *result)
{
	PQclear(result);
	PQclear(remote_query_next_result(query));
	return query->error.sqlstate == 0;
}

/* Read the answer to the question for the token. */
static bool
read_token(RemoteQuery *query)
{
	PGresult   *result = read_answer(query, PGRES_TUPLES_OK);

	if (result == NULL)
		return false;
	strlcpy(query->connection->token, PQgetvalue(result, 0, 0),
			sizeof(query->connection->token));
	return end_answer(query, result);
}

/* Read the answer to the question for the ticket. */
static bool
read_ticket(RemoteQuery *query)
{
	PGresult   *result = read_answer(query, PGRES_TUPLES_OK);

	if (result == NULL)
		return false;
	if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
		query->ticket = pstrdup(PQgetvalue(result, 0, 0));
	return end_answer(query, result);
}

/* Read the answer to COMMIT. */
static bool
read_commit(RemoteQuery *query)
{
	PGresult   *result = read_answer(query, PGRES_COMMAND_OK);

	if (result == NULL)
		return false;
	strlcpy(query->tag, PQcmdStatus(result), sizeof(query->tag));
	return end_answer(query, result);
}

static bool
is_error(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_FATAL_ERROR;
}

/*
 * remote_query_recover
 *		After an error of the node: read up to the end, so that the connection
 *		can be used again.  query->finished tells whether that came about.
 */
void
remote_query_recover(RemoteQuery *query)
{
	RemoteError error = query->error;
	PGconn	   *conn = query->connection->conn;

	query->error.sqlstate = 0;
	while (PQstatus(conn) == CONNECTION_OK && !query->finished && query->error.sqlstate == 0)
	{
		PGresult   *result = remote_query_next_result(query);

		if (query->simple || PQpipelineStatus(conn) == PQ_PIPELINE_OFF)
			query->finished = result == NULL;
		else
			query->finished = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		PQclear(result);
	}
	query->error = error;
}

/* Note the first error; result NULL: the connection's. */
void
remote_query_fail(RemoteQuery *query, const PGresult *result)
{
	if (query->error.sqlstate != 0)
		return;
	if (result)
		remote_error_from_result(&query->error, result, query->connection->conn);
	else
		remote_error_from_connection(&query->error, query->connection->conn);
}

/*
 * remote_query_wait
 *		Wait for the connection's socket.  False, with query->error, when the
 *		caller's abandon() says that there is nothing to wait for.
 */
bool
remote_query_wait(RemoteQuery *query, int socket_events)
{
	bool		ready;

	if (query->guarded)
		HOLD_CANCEL_INTERRUPTS();
	ready = connection_wait(query->connection, socket_events, ABANDON_CHECK_MS);
	if (query->guarded)
	{
		RESUME_CANCEL_INTERRUPTS();
		if (!pass_cancel_on(query))
			return false;
	}
	if (ready)
		return true;
	if (query->abandon && query->abandon(query->abandon_arg))
	{
		remote_error_set(&query->error, ERRCODE_CONNECTION_FAILURE, "node does not answer");
		return false;
	}
	return true;
}

/*
 * A cancel has come, perhaps: pass it on, once.  False, with query->error, when
 * the node doesn't heed it in time.
 */
static bool
pass_cancel_on(RemoteQuery *query)
{
	TimestampTz now;

	if (!QueryCancelPending)
		return true;
	now = GetCurrentTimestamp();
	if (query->cancel_deadline == 0)
	{
		query->cancel_deadline = TimestampTzPlusMilliseconds(now, CANCEL_LIMIT_MS);
		(void) connection_cancel(query->connection, query->cancel_deadline);
		return true;
	}
	if (now < query->cancel_deadline)
		return true;
	remote_error_set(&query->error, ERRCODE_QUERY_CANCELED, "node does not answer a cancel request");
	return false;
}
