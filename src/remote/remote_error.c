/*-------------------------------------------------------------------------
 *
 * remote_error.c
 *	  An error of another node, kept until it is known what to make of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "core/errors.h"
#include "remote/remote_error.h"

static char *copy_line(const char *text);
static char *copy_field(const PGresult *result, int field);

/* An error of our own making. */
void
remote_error_set(RemoteError *error, int sqlstate, const char *message)
{
	memset(error, 0, sizeof(*error));
	error->sqlstate = sqlstate;
	error->message = pstrdup(message);
}

/* The connection is broken, or couldn't be made. */
void
remote_error_from_connection(RemoteError *error, PGconn *conn)
{
	const char *message = conn ? PQerrorMessage(conn) : "";

	memset(error, 0, sizeof(*error));
	error->sqlstate = ERRCODE_CONNECTION_FAILURE;
	error->message = copy_line(message[0] ? message : "connection lost");
}

/* A result that is an error; fields that it lacks come from the connection. */
void
remote_error_from_result(RemoteError *error, const PGresult *result, PGconn *conn)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (sqlstate == NULL || PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) == NULL)
	{
		remote_error_from_connection(error, conn);
		return;
	}

	error->sqlstate = MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2],
									sqlstate[3], sqlstate[4]);
	error->message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY);
	error->detail = copy_field(result, PG_DIAG_MESSAGE_DETAIL);
	error->hint = copy_field(result, PG_DIAG_MESSAGE_HINT);
	error->context = copy_field(result, PG_DIAG_CONTEXT);
}

/* Raise it as our own, naming the node. */
void
remote_error_raise(const RemoteError *error, const char *node)
{
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext("%s", error->context) : 0,
			 errcontext("read on node \"%s\"", node)));
}

/* Does a notice warn that the answer may be older than promised? */
bool
remote_error_is_stale_warning(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return sqlstate != NULL && strcmp(sqlstate, unpack_sql_state(ERRCODE_WARNING_STALE_ANSWER)) == 0;
}

/*
 * remote_error_pass_notice_on
 *		Give a notice of another node to the client.
 */
void
remote_error_pass_notice_on(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	RemoteError notice;
	int			level;

	if (severity == NULL)
		return;
	if (strcmp(severity, "WARNING") == 0)
		level = WARNING;
	else if (strcmp(severity, "NOTICE") == 0)
		level = NOTICE;
	else if (strcmp(severity, "INFO") == 0)
		level = INFO;
	else
		return;					/* LOG and DEBUG are the other node's */

	remote_error_from_result(&notice, result, NULL);
	ereport(level,
			(errcode(notice.sqlstate),
			 errmsg_internal("%s", notice.message),
			 notice.detail ? errdetail_internal("%s", notice.detail) : 0,
			 notice.hint ? errhint("%s", notice.hint) : 0,
			 notice.context ? errcontext("%s", notice.context) : 0));
}

/* The first line, without the newline that libpq ends its messages with. */
static char *
copy_line(const char *text)
{
	return pnstrdup(text, strcspn(text, "\n"));
}

static char *
copy_field(const PGresult *result, int field)
{
	const char *value = PQresultErrorField(result, field);

	return value ? pstrdup(pg_client_to_server(value, strlen(value))) : NULL;
}
