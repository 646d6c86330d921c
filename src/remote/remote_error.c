/*-------------------------------------------------------------------------
 *
 * remote_error.c
 *	  An error of another node, kept until it is known what to make of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "core/errors.h"
#include "remote/remote_error.h"

static bool is_of_parser(const PGresult *result);
static void from_result(RemoteError *error, const PGresult *result, PGconn *conn, int encoding);
static void copy_fields(RemoteError *error, const PGresult *result, int encoding);
static char *copy_line(const char *text);
static char *copy_field(const PGresult *result, int field, int encoding);
static int	number_field(const PGresult *result, int field);
static int	set_names(const RemoteError *error);
static int	set_internal_query(const RemoteError *error);

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

/*
 * remote_error_from_result
 *		The result of a statement is an error; if it lacks fields, the
 *		connection's.
 *
 * Statements run with our client's encoding over there.  (libpq hears of it only
 * at the end of the transaction.)
 */
void
remote_error_from_result(RemoteError *error, const PGresult *result, PGconn *conn)
{
	from_result(error, result, conn, pg_get_client_encoding());
}

/* The same while the connection has the encoding that it was made with. */
void
remote_error_from_setup(RemoteError *error, const PGresult *result, PGconn *conn)
{
	from_result(error, result, conn, PQclientEncoding(conn));
}

static void
from_result(RemoteError *error, const PGresult *result, PGconn *conn, int encoding)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL ||
		PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) == NULL)
	{
		remote_error_from_connection(error, conn);
		return;
	}
	copy_fields(error, result, encoding);
	error->from_server = true;
	error->fatal = severity &&
		(strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
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
			 errcontext("read on node \"%s\"", node),
			 set_names(error),
			 set_internal_query(error)));
}

/*
 * remote_error_raise_own
 *		Raise it as if it had happened here.
 *
 * What was sent is the part of "text" that begins at byte "offset"; text is the
 * client's whole message, in the server's encoding, or NULL if what was sent
 * isn't part of it.
 */
void
remote_error_raise_own(const RemoteError *error, const char *text, int offset)
{
	int			position = 0;

	if (text &&error->position > 0)
		position = pg_mbstrlen_with_len(text, offset) + error->position;

	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext("%s", error->context) : 0,
			 position > 0 ? errposition(position) : 0,
			 set_names(error),
			 set_internal_query(error)));
}

/* Was an error that is being reported raised by the function above? */
bool
remote_error_is_raised(const ErrorData *error)
{
	return error->funcname && strcmp(error->funcname, "remote_error_raise_own") == 0;
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
 *
 * Without a position in the statement: which one it belongs to isn't known here.
 * What the parser warns of, the client was told by our own.
 * To report it takes a cancel, which would leave libpq in the middle of its work,
 * and a statement over there whose outcome nobody has heard.
 */
void
remote_error_pass_notice_on(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	RemoteError notice;
	int			level;

	if (severity == NULL || PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL ||
		PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) == NULL || is_of_parser(result))
		return;
	if (strcmp(severity, "WARNING") == 0)
		level = WARNING;
	else if (strcmp(severity, "NOTICE") == 0)
		level = NOTICE;
	else if (strcmp(severity, "INFO") == 0)
		level = INFO;
	else
		return;					/* LOG and DEBUG are the other node's */

	copy_fields(&notice, result, pg_get_client_encoding());
	HOLD_CANCEL_INTERRUPTS();
	ereport(level,
			(errcode(notice.sqlstate),
			 errmsg_internal("%s", notice.message),
			 notice.detail ? errdetail_internal("%s", notice.detail) : 0,
			 notice.hint ? errhint("%s", notice.hint) : 0,
			 notice.context ? errcontext("%s", notice.context) : 0,
			 set_names(&notice),
			 set_internal_query(&notice)));
	RESUME_CANCEL_INTERRUPTS();
}

/* Does a notice come of reading the statement, and not of what a function in it runs? */
static bool
is_of_parser(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return PQresultErrorField(result, PG_DIAG_CONTEXT) == NULL &&
		(strcmp(sqlstate, unpack_sql_state(ERRCODE_NAME_TOO_LONG)) == 0 ||
		 strcmp(sqlstate, unpack_sql_state(ERRCODE_NONSTANDARD_USE_OF_ESCAPE_CHARACTER)) == 0);
}

/* Copy all that a report says.  It has a SQLSTATE and a message. */
static void
copy_fields(RemoteError *error, const PGresult *result, int encoding)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	memset(error, 0, sizeof(*error));
	error->sqlstate = MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2],
									sqlstate[3], sqlstate[4]);
	error->message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY, encoding);
	error->detail = copy_field(result, PG_DIAG_MESSAGE_DETAIL, encoding);
	error->hint = copy_field(result, PG_DIAG_MESSAGE_HINT, encoding);
	error->context = copy_field(result, PG_DIAG_CONTEXT, encoding);
	error->schema_name = copy_field(result, PG_DIAG_SCHEMA_NAME, encoding);
	error->table_name = copy_field(result, PG_DIAG_TABLE_NAME, encoding);
	error->column_name = copy_field(result, PG_DIAG_COLUMN_NAME, encoding);
	error->datatype_name = copy_field(result, PG_DIAG_DATATYPE_NAME, encoding);
	error->constraint_name = copy_field(result, PG_DIAG_CONSTRAINT_NAME, encoding);
	error->position = number_field(result, PG_DIAG_STATEMENT_POSITION);
	error->internal_position = number_field(result, PG_DIAG_INTERNAL_POSITION);
	error->internal_query = copy_field(result, PG_DIAG_INTERNAL_QUERY, encoding);
}

/* The first line, without the newline that libpq ends its messages with. */
static char *
copy_line(const char *text)
{
	return pnstrdup(text, strcspn(text, "\n"));
}

/* A field in the server's encoding; what isn't valid in its own is replaced. */
static char *
copy_field(const PGresult *result, int field, int encoding)
{
	const char *value = PQresultErrorField(result, field);
	char	   *copy;

	if (value == NULL)
		return NULL;
	if (PG_VALID_ENCODING(encoding) && pg_verify_mbstr(encoding, value, strlen(value), true))
		return pstrdup(pg_any_to_server(value, strlen(value), encoding));
	copy = pstrdup(value);
	for (char *c = copy; *c; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return copy;
}

static int
number_field(const PGresult *result, int field)
{
	const char *value = PQresultErrorField(result, field);

	return value ? atoi(value) : 0;
}

/* For ereport(): the names of the objects that it is about. */
static int
set_names(const RemoteError *error)
{
	if (error->schema_name)
		err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema_name);
	if (error->table_name)
		err_generic_string(PG_DIAG_TABLE_NAME, error->table_name);
	if (error->column_name)
		err_generic_string(PG_DIAG_COLUMN_NAME, error->column_name);
	if (error->datatype_name)
		err_generic_string(PG_DIAG_DATATYPE_NAME, error->datatype_name);
	if (error->constraint_name)
		err_generic_string(PG_DIAG_CONSTRAINT_NAME, error->constraint_name);
	return 0;
}

/* For ereport(): the query that a function ran, and where in it. */
static int
set_internal_query(const RemoteError *error)
{
	if (error->internal_query)
		internalerrquery(error->internal_query);
	if (error->internal_position > 0)
		internalerrposition(error->internal_position);
	return 0;
}
