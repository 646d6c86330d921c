/*-------------------------------------------------------------------------
 *
 * forward_copy.c
 *	  COPY between a replica's client and the primary.
 *
 * The data passes through as it is: the connection has the client's encoding.
 * COPY is no part of a pipeline, so that the transaction at the primary is begun
 * ahead of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "exec/forward_copy.h"

/* the longest message that a client may send, as in PostgreSQL's own COPY */
#define LONGEST_MESSAGE (MaxAllocSize - 1)

/* how much may wait to be sent before the client's next data are read, bytes */
#define FLUSH_INTERVAL (64 * 1024)

static void join(ForwardStatement *statement);
static void send_statement(ForwardStatement *statement);
static void begin_copy(const PGresult *result, char message);
static void copy_in(ForwardStatement *statement);
static bool read_message(StringInfo data, int *type);
static bool put_data(ForwardStatement *statement, const StringInfo data);
static void end_copy_in(ForwardStatement *statement, const char *failure);
static void copy_out(ForwardStatement *statement);
static void read_end(ForwardStatement *statement);

/* Run a COPY FROM STDIN or TO STDOUT. */
void
forward_copy(ForwardStatement *statement)
{
	PGresult   *result;
	ExecStatusType status;

	join(statement);
	send_statement(statement);
	result = remote_query_next_result(&statement->query);
	status = PQresultStatus(result);
	if (status == PGRES_COPY_IN)
		begin_copy(result, 'G');
	else if (status == PGRES_COPY_OUT)
		begin_copy(result, 'H');
	else if (statement->query.error.sqlstate == 0)
		remote_query_fail(&statement->query, result);
	PQclear(result);
	if (statement->query.error.sqlstate != 0)
		forward_statement_fail(statement);

	if (status == PGRES_COPY_IN)
		copy_in(statement);
	else
		copy_out(statement);
	read_end(statement);
	if (status == PGRES_COPY_OUT)
		pq_putemptymessage('c');
	forward_statement_done(statement);
}

/* Have the transaction at the primary be where the statement belongs. */
static void
join(ForwardStatement *statement)
{
	ForwardStatement *first = palloc0(sizeof(ForwardStatement));

	first->text.sql = "SELECT";
	first->declaration = statement->declaration;
	first->writes = true;
	first->in_transaction = statement->in_transaction = true;
	forward_statement_run(first);
}

static void
send_statement(ForwardStatement *statement)
{
	const char *sql = pg_server_to_client(statement->text.sql, strlen(statement->text.sql));
	List	   *ahead;
	PGconn	   *conn = forward_statement_connect(statement, &ahead)->conn;

	Assert(ahead == NIL);
	statement->query.simple = true;
	if (!PQexitPipelineMode(conn) || !PQsendQuery(conn, sql))
		remote_query_fail(&statement->query, NULL);
	if (statement->query.error.sqlstate != 0 || !remote_query_flush(&statement->query))
		forward_statement_fail(statement);
	InvalidateCatalogSnapshot();
}

/* Tell the client that data are wanted, or come, and in which form. */
static void
begin_copy(const PGresult *result, char message)
{
	StringInfoData buf;

	pq_beginmessage(&buf, message);
	pq_sendbyte(&buf, PQbinaryTuples(result));
	pq_sendint16(&buf, PQnfields(result));
	for (int i = 0; i < PQnfields(result); i++)
		pq_sendint16(&buf, PQfformat(result, i));
	pq_endmessage(&buf);
	if (message == 'G')
		pq_flush();
}

/*
 * Pass on what the client sends, up to its end.  If the primary has failed by then,
 * it doesn't listen any more, but says so only when it is asked at the end.
 */
static void
copy_in(ForwardStatement *statement)
{
	StringInfoData data;
	Size		unsent = 0;
	int			type;

	initStringInfo(&data);
	while (read_message(&data, &type))
	{
		if (QueryCancelPending)
		{
			/* The primary fails it, and goes on. */
			end_copy_in(statement, "canceled");
			return;
		}
		CHECK_FOR_INTERRUPTS();
		switch (type)
		{
			case 'd':
				unsent += data.len;
				if (!put_data(statement, &data) ||
					(unsent >= FLUSH_INTERVAL && !remote_query_flush(&statement->query)))
					forward_statement_fail(statement);
				unsent %= FLUSH_INTERVAL;
				break;
			case 'c':
				end_copy_in(statement, NULL);
				return;
			case 'f':
				end_copy_in(statement, pq_getmsgstring(&data));
				return;
			default:
				break;			/* Flush and Sync mean nothing here */
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("unexpected EOF on client connection with an open transaction")));
}

/* The next message of the client; false if it is gone. */
static bool
read_message(StringInfo data, int *type)
{
	bool		ok;

	HOLD_CANCEL_INTERRUPTS();
	pq_startmsgread();
	*type = pq_getbyte();
	ok = *type != EOF;
	if (ok && strchr("dcfHS", *type) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("unexpected message type 0x%02X during COPY from stdin", *type)));
	ok = ok && pq_getmessage(data, LONGEST_MESSAGE) == 0;
	RESUME_CANCEL_INTERRUPTS();
	return ok;
}

static bool
put_data(ForwardStatement *statement, const StringInfo data)
{
	RemoteQuery *query = &statement->query;
	PGconn	   *conn = query->connection->conn;
	int			rc;

	while ((rc = PQputCopyData(conn, data->data, data->len)) == 0)
	{
		if (!remote_query_wait(query, WL_SOCKET_WRITEABLE))
			return false;
	}
	if (rc < 0)
		remote_query_fail(query, NULL);
	return rc > 0;
}

static void
end_copy_in(ForwardStatement *statement, const char *failure)
{
	RemoteQuery *query = &statement->query;
	PGconn	   *conn = query->connection->conn;
	int			rc;

	while ((rc = PQputCopyEnd(conn, failure)) == 0)
	{
		if (!remote_query_wait(query, WL_SOCKET_WRITEABLE))
			forward_statement_fail(statement);
	}
	if (rc < 0)
		remote_query_fail(query, NULL);
	if (query->error.sqlstate != 0 || !remote_query_flush(query))
		forward_statement_fail(statement);
}

/* Pass on what the primary sends. */
static void
copy_out(ForwardStatement *statement)
{
	RemoteQuery *query = &statement->query;
	PGconn	   *conn = query->connection->conn;
	char	   *data;
	int			length;

	/* A cancel takes effect over there, when there is nothing to be read. */
	HOLD_CANCEL_INTERRUPTS();
	while ((length = PQgetCopyData(conn, &data, true)) >= 0)
	{
		if (length > 0)
		{
			(void) pq_putmessage('d', data, length);
			PQfreemem(data);
			CHECK_FOR_INTERRUPTS();
			continue;
		}
		if (!remote_query_wait(query, WL_SOCKET_READABLE))
			forward_statement_fail(statement);
		if (!PQconsumeInput(conn))
		{
			remote_query_fail(query, NULL);
			forward_statement_fail(statement);
		}
	}
	RESUME_CANCEL_INTERRUPTS();
}

/* Read how it ended. */
static void
read_end(ForwardStatement *statement)
{
	RemoteQuery *query = &statement->query;
	PGresult   *result = remote_query_next_result(query);

	if (query->error.sqlstate == 0 && PQresultStatus(result) != PGRES_COMMAND_OK)
		remote_query_fail(query, result);
	else if (query->error.sqlstate == 0)
		strlcpy(query->tag, PQcmdStatus(result), sizeof(query->tag));
	PQclear(result);
	if (query->error.sqlstate == 0)
	{
		result = remote_query_next_result(query);
		query->finished = result == NULL && query->error.sqlstate == 0;
		PQclear(result);
	}
	if (query->error.sqlstate != 0)
		forward_statement_fail(statement);
}
