/*-------------------------------------------------------------------------
 *
 * remote_copy.c
 *	  A query with many rows, as COPY (query) TO STDOUT.
 *
 * libpq hands out the rows of a query that is read row by row as results of
 * their own, each with a description of all columns, which costs more than
 * everything else that we do with a row.  The rows of a COPY come as they are.
 * What COPY lacks is the columns' types; so the query goes ahead of it once
 * more with LIMIT 0.  Both are one transaction, in which the tables can't
 * change, and one simple query, which is one round trip.  Only settings that
 * have changed need one of their own: a simple query is read as a whole before
 * any of it is run, and some settings tell how to read it.
 *
 * COPY takes no parameters, hence only queries without go this way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "storage/latch.h"

#include "remote/remote_copy.h"

/* COPY BINARY begins with this, two 32-bit numbers, and what the second says */
#define SIGNATURE "PGCOPY\n\377\r\n"
#define SIGNATURE_SIZE 11
#define HEADER_SIZE (SIGNATURE_SIZE + 8)

static bool bring_settings(RemoteQuery *query);
static bool start_copy(RemoteQuery *query);
static bool skip_header(RemoteQuery *query, RemoteRow *row);
static bool end_copy(RemoteQuery *query);
static bool protocol_violation(RemoteQuery *query);

/*
 * remote_copy_is_better
 *		Can the query go as COPY, and is that worth it?
 *
 * A simple query is converted as a whole, so the connection must have our
 * encoding already.  The settings are a transaction of their own, after which a
 * pooler may give us another session.
 */
bool
remote_copy_is_better(const RemoteQuery *query, const RemoteQueryText *text)
{
	return text->many_rows && text->nparams == 0 && text->result_format == 1 &&
	!query->connection->pooled &&
	PQclientEncoding(query->connection->conn) == pg_get_client_encoding();
}

/*
 * remote_copy_send
 *		Send the query, behind settings and token (NULL: none) where the other
 *		side needs them.  False and query->error on failure.
 */
bool
remote_copy_send(RemoteQuery *query, const RemoteQueryText *text, const char *token)
{
	PGconn	   *conn = query->connection->conn;
	StringInfoData sql;
	bool		sent;

	query->copy = true;
	if (!PQexitPipelineMode(conn))
	{
		remote_query_fail(query, NULL);
		return false;
	}
	if (!bring_settings(query))
		return false;

	initStringInfo(&sql);
	if (token)
		appendStringInfo(&sql, "SET consistency.token = '%s';", token);
	appendStringInfo(&sql, "SELECT * FROM (%s\n) AS consistency LIMIT 0;"
					 "COPY (%s\n) TO STDOUT (FORMAT binary)", text->sql, text->sql);

	sent = PQsendQuery(conn, sql.data);
	pfree(sql.data);
	if (!sent)
	{
		remote_query_fail(query, NULL);
		return false;
	}
	return remote_query_flush(query);
}

/* As remote_query_next_row(). */
bool
remote_copy_next_row(RemoteQuery *query, RemoteRow *row)
{
	PGconn	   *conn = query->connection->conn;

	if (!query->started)
	{
		if (!start_copy(query))
			return false;
		query->started = true;
	}

	for (;;)
	{
		int16		natts;

		row->copy_length = PQgetCopyData(conn, &row->copy, true);
		if (row->copy_length == 0)
		{
			if (!remote_query_wait(query, WL_SOCKET_READABLE))
				return false;
			if (!PQconsumeInput(conn))
			{
				remote_query_fail(query, NULL);
				return false;
			}
			continue;
		}
		if (row->copy_length < 0)
		{
			row->copy = NULL;
			return end_copy(query);
		}

		row->copy_row = row->copy;
		if (!query->header_read && !skip_header(query, row))
			return false;
		if (row->copy_length >= (int) sizeof(natts))
		{
			memcpy(&natts, row->copy_row, sizeof(natts));
			if ((int16) pg_ntoh16(natts) != -1)
				return true;
		}
		/* the header alone, or the trailer */
		remote_row_free(row);
	}
}

/* Bring the other side's settings up to date, and wait for that. */
static bool
bring_settings(RemoteQuery *query)
{
	PGresult   *result;

	if (!remote_query_send_settings(query))
		return false;
	if (query->setup_commands == 0)
		return true;
	query->setup_commands = 0;
	if (!remote_query_flush(query))
		return false;
	while ((result = remote_query_next_result(query)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			remote_query_fail(query, result);
		PQclear(result);
	}
	return query->error.sqlstate == 0;
}

/* Read what comes ahead of the rows: the token's answer and the shape. */
static bool
start_copy(RemoteQuery *query)
{
	for (;;)
	{
		PGresult   *result = remote_query_next_result(query);

		if (query->error.sqlstate != 0)
			return false;
		switch (PQresultStatus(result))
		{
			case PGRES_COMMAND_OK:
				PQclear(result);
				break;
			case PGRES_TUPLES_OK:
				PQclear(query->shape);
				query->shape = result;
				break;
			case PGRES_COPY_OUT:
				PQclear(result);
				return true;
			default:
				remote_query_fail(query, result);
				PQclear(result);
				return false;
		}
	}
}

/* The header comes ahead of the first row, in the same piece of data. */
static bool
skip_header(RemoteQuery *query, RemoteRow *row)
{
	uint32		extension;

	if (row->copy_length < HEADER_SIZE ||
		memcmp(row->copy_row, SIGNATURE, SIGNATURE_SIZE) != 0)
		return protocol_violation(query);
	memcpy(&extension, row->copy_row + SIGNATURE_SIZE + 4, sizeof(extension));
	extension = pg_ntoh32(extension);
	if (extension > (uint32) (row->copy_length - HEADER_SIZE))
		return protocol_violation(query);

	row->copy_row += HEADER_SIZE + extension;
	row->copy_length -= HEADER_SIZE + extension;
	query->header_read = true;
	return true;
}

/* No more rows: all went well, or an error comes now.  Always false. */
static bool
end_copy(RemoteQuery *query)
{
	PGresult   *result = remote_query_next_result(query);

	if (query->error.sqlstate == 0 && PQresultStatus(result) != PGRES_COMMAND_OK)
		remote_query_fail(query, result);
	PQclear(result);
	if (query->error.sqlstate == 0)
	{
		result = remote_query_next_result(query);
		query->finished = (result == NULL && query->error.sqlstate == 0);
		PQclear(result);
	}
	if (!query->finished && query->error.sqlstate == 0)
		return protocol_violation(query);
	return false;
}

static bool
protocol_violation(RemoteQuery *query)
{
	remote_error_set(&query->error, ERRCODE_PROTOCOL_VIOLATION, "unexpected data");
	return false;
}
