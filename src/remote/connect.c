/*-------------------------------------------------------------------------
 *
 * connect.c
 *	  Making a connection to another node.
 *
 * It must be one to a server of this cluster, in this database, whose login may
 * serve the current role; else it isn't used.  A peer is of another cluster, or of
 * another database: roles there are no roles of ours, and as with postgres_fdw
 * whoever may use the mapping is who it says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "core/wait_event.h"
#include "remote/connect.h"
#include "remote/settings_report.h"

/*
 * The first words on a new connection.  A login's own default for the isolation
 * may be one that replicas don't know, so it is set for the transaction that is
 * under way, and then for all later ones that aren't begun otherwise; whether they
 * may write is for the client's session to say.  From now on the other side is to
 * tell which settings it has.  Behind a pooler (the session has another number
 * than we were told) that would be setting it for others, too.
 */
#define SETUP_SQL \
	"SET transaction_isolation = 'read committed';" \
	"SELECT system_identifier, database, instance, in_recovery, pg_catalog.pg_backend_pid()," \
	" pg_catalog.set_config('default_transaction_isolation', 'read committed', pooled)," \
	" pg_catalog.set_config('default_transaction_read_only', 'off', pooled)," \
	" pg_catalog.set_config('" SETTINGS_REPORT_NAME "', 'on', pooled)" \
	" FROM consistency.node_status()," \
	" (VALUES (pg_catalog.pg_backend_pid() <> %d)) AS server (pooled)"

/* connecting to a node that is up takes less, milliseconds */
#define CONNECT_TIMEOUT_MS 5000

static PGconn *connect_to(const RemoteConnectionTarget *target, TimestampTz deadline,
						  RemoteError *error);
static bool wait_for_socket(PGconn *conn, int socket_events, TimestampTz deadline);
static PGresult *next_result(PGconn *conn, TimestampTz deadline, RemoteError *error);
static bool check_login(PGconn *conn, const RemoteConnectionTarget *target,
						RemoteError *error);
static Oid	login_role(PGconn *conn);
static bool login_is_superuser(PGconn *conn);
static bool set_up(RemoteConnection *connection, PGconn *conn,
				   const RemoteConnectionTarget *target, TimestampTz deadline,
				   RemoteError *error);
static bool is_this_database(const PGresult *result, RemoteError *error);
static void note_facts(RemoteConnection *connection, PGconn *conn, const PGresult *result);
static void ignore_notice(void *arg, const PGresult *result);

/*
 * connect_node
 *		Connect to a node, and note in *connection what it turned out to be.
 *
 * NULL and *error when that fails, or the connection can't serve the current
 * role.  Notices are ignored until the caller sets a receiver.
 */
PGconn *
connect_node(RemoteConnection *connection, const RemoteConnectionTarget *target,
			 RemoteError *error)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CONNECT_TIMEOUT_MS);
	PGconn	   *conn;

	/* That of an earlier attempt isn't this one's. */
	memset(error, 0, sizeof(*error));
	conn = connect_to(target, deadline, error);
	if (conn == NULL)
		return NULL;
	PQsetNoticeReceiver(conn, ignore_notice, NULL);
	PG_TRY();
	{
		if (!check_login(conn, target, error) ||
			!set_up(connection, conn, target, deadline, error))
		{
			PQfinish(conn);
			conn = NULL;
		}
	}
	PG_CATCH();
	{
		PQfinish(conn);
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (conn)
	{
		connection->login = login_role(conn);
		connection->login_is_superuser = login_is_superuser(conn);
	}
	return conn;
}

/*
 * connect_login_serves
 *		Is this login allowed to serve the current role?
 *
 * What runs over there can go back from the role to the login.  So that must be
 * no other role than what runs here can go back to: the role itself, or the
 * session's user.  The latter can't be a superuser where the role isn't: a
 * superuser's session has more to lose there than a look at some rows.
 */
bool
connect_login_serves(Oid login, bool is_superuser)
{
	Oid			role = GetUserId();

	return OidIsValid(login) && (login == role || login == GetSessionUserId()) &&
		(!is_superuser || superuser_arg(role));
}

/* Connect without blocking; NULL and *error on failure. */
static PGconn *
connect_to(const RemoteConnectionTarget *target, TimestampTz deadline, RemoteError *error)
{
	PGconn	   *conn;
	PostgresPollingStatusType status;

	conn = PQconnectStartParams(target->keywords, target->values, false);
	if (conn == NULL || PQstatus(conn) == CONNECTION_BAD)
	{
		remote_error_from_connection(error, conn);
		PQfinish(conn);
		return NULL;
	}

	PG_TRY();
	{
		/* A poll before the first wait is wrong by libpq's documentation. */
		status = PGRES_POLLING_WRITING;
		while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING)
		{
			if (!wait_for_socket(conn,
								 status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE,
								 deadline))
				break;
			status = PQconnectPoll(conn);
		}
	}
	PG_CATCH();
	{
		PQfinish(conn);
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (status != PGRES_POLLING_OK)
	{
		if (status == PGRES_POLLING_FAILED)
			remote_error_from_connection(error, conn);
		else
			remote_error_set(error, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
							 "connection timed out");
		PQfinish(conn);
		return NULL;
	}
	return conn;
}

/*
 * PQgetResult that can be interrupted and has a deadline.  NULL where
 * PQgetResult says NULL, and on failure, with *error set.
 */
static PGresult *
next_result(PGconn *conn, TimestampTz deadline, RemoteError *error)
{
	while (PQflush(conn) > 0 || PQisBusy(conn))
	{
		if (!wait_for_socket(conn, WL_SOCKET_READABLE, deadline))
		{
			remote_error_set(error, ERRCODE_CONNECTION_FAILURE, "no answer in time");
			return NULL;
		}
		if (!PQconsumeInput(conn))
		{
			remote_error_from_connection(error, conn);
			return NULL;
		}
	}
	return PQgetResult(conn);
}

/* Wait for the socket while connecting.  False when the deadline has passed. */
static bool
wait_for_socket(PGconn *conn, int socket_events, TimestampTz deadline)
{
	long		timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
	int			rc;

	if (timeout <= 0)
		return false;
	rc = WaitLatchOrSocket(MyLatch,
						   WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | socket_events,
						   PQsocket(conn), timeout, wait_event_connect());
	if (rc & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/*
 * Is this login allowed to serve the current role?  The password of the mapping
 * must have been used where that is required.
 */
static bool
check_login(PGconn *conn, const RemoteConnectionTarget *target, RemoteError *error)
{
	if (target->password_required && !PQconnectionUsedPassword(conn))
		remote_error_set(error, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
						 "password is required, but the node did not ask for one");
	else if (target->peer)
		return true;
	else if (!connect_login_serves(login_role(conn), false))
		remote_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						 "user mapping logs in as another role");
	else if (!connect_login_serves(login_role(conn), login_is_superuser(conn)))
		remote_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						 "user mapping logs in as a superuser, but the local role is none");
	else
		return true;
	return false;
}

/* The role that a connection has logged in as. */
static Oid
login_role(PGconn *conn)
{
	const char *name = PQparameterStatus(conn, "session_authorization");

	return name ? get_role_oid(name, true) : InvalidOid;
}

/* Was it a superuser then?  In doubt yes. */
static bool
login_is_superuser(PGconn *conn)
{
	const char *is_superuser = PQparameterStatus(conn, "is_superuser");

	return is_superuser == NULL || strcmp(is_superuser, "off") != 0;
}

/* Say the first words, see where we are. */
static bool
set_up(RemoteConnection *connection, PGconn *conn, const RemoteConnectionTarget *target,
	   TimestampTz deadline, RemoteError *error)
{
	char	   *sql = psprintf(SETUP_SQL, PQbackendPID(conn));
	PGresult   *result;
	bool		ok = true;
	bool		is_known = false;

	if (PQsetnonblocking(conn, 1) != 0 || !PQsendQuery(conn, sql))
	{
		remote_error_from_connection(error, conn);
		return false;
	}
	while ((result = next_result(conn, deadline, error)) != NULL)
	{
		if (!ok)
			;					/* keep the first error */
		else if (PQresultStatus(result) == PGRES_TUPLES_OK)
		{
			ok = is_known = target->peer ? PQntuples(result) == 1 : is_this_database(result, error);
			if (ok)
				note_facts(connection, conn, result);
		}
		else if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			remote_error_from_setup(error, result, conn);
			ok = false;
		}
		PQclear(result);
	}
	return ok && is_known && error->sqlstate == 0;
}

/* Is it the database that we are in, on a server of our cluster? */
static bool
is_this_database(const PGresult *result, RemoteError *error)
{
	char		expected[32];

	snprintf(expected, sizeof(expected), UINT64_FORMAT, GetSystemIdentifier());
	if (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), expected) != 0)
	{
		remote_error_set(error, ERRCODE_FDW_ERROR, "node belongs to another cluster");
		return false;
	}
	snprintf(expected, sizeof(expected), "%u", MyDatabaseId);
	if (strcmp(PQgetvalue(result, 0, 1), expected) != 0)
	{
		remote_error_set(error, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
						 "option \"dbname\" of the server names another database than this one");
		return false;
	}
	return true;
}

/* What else the first answer tells. */
static void
note_facts(RemoteConnection *connection, PGconn *conn, const PGresult *result)
{
	connection->instance = pg_strtoint64(PQgetvalue(result, 0, 2));
	connection->in_recovery = strcmp(PQgetvalue(result, 0, 3), "t") == 0;
	connection->backend_pid = atoi(PQgetvalue(result, 0, 4));
	connection->pooled = connection->backend_pid != PQbackendPID(conn);
}

static void
ignore_notice(void *arg, const PGresult *result)
{
}
