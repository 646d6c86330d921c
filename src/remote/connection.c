/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  Connections of a backend to other nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/wait_event.h"
#include "remote/connection.h"

/*
 * First statements on a new connection.  The check interval bounds how long a
 * statement goes on over there after we have closed the connection.  Timeouts
 * are the local server's business, and what was sent there isn't sent on.
 */
#define SETUP_SQL \
	"SET client_connection_check_interval = '500ms';" \
	"SET statement_timeout = 0;" \
	"SET idle_session_timeout = 0;" \
	"SET default_transaction_isolation = 'read committed';" \
	"SET consistency.report_token = on;" \
	"SET consistency.routing = off;" \
	"SELECT system_identifier, database FROM consistency.node_status()"

/* connecting to a node that is up takes less, milliseconds */
#define CONNECT_TIMEOUT_MS 5000

/* after a failure statements run elsewhere for so long, milliseconds */
#define RETRY_DELAY_MS 2000

/* place of the socket in a connection's wait set: see make_wait_set() */
#define WAIT_SET_SOCKET 2

static HTAB *connections = NULL;

static Oid	login_role(PGconn *conn);
static bool login_serves(Oid login, Oid userid);
static bool has_news(PGconn *conn);
static void make_wait_set(RemoteConnection *connection);
static bool wait_for_socket(PGconn *conn, int socket_events, TimestampTz deadline);
static PGresult *next_result(PGconn *conn, TimestampTz deadline, RemoteError *error);
static RemoteConnection *lookup(Oid serverid, Oid userid, bool create);
static PGconn *connect_to(const RemoteConnectionTarget *target, TimestampTz deadline,
						  RemoteError *error);
static bool check_login(PGconn *conn, Oid userid, const RemoteConnectionTarget *target,
						RemoteError *error);
static bool set_up(PGconn *conn, Oid userid, TimestampTz deadline, RemoteError *error);
static bool is_this_database(const PGresult *result, RemoteError *error);
static void pass_notice_on(void *arg, const PGresult *result);
static void disconnect(RemoteConnection *connection);
static void mark_stale(Datum arg, int cacheid, uint32 hashvalue);

/*
 * connection_is_backing_off
 *		Did connecting to a node for a role fail a moment ago?
 */
bool
connection_is_backing_off(Oid serverid, Oid userid)
{
	RemoteConnection *connection = lookup(serverid, userid, false);

	return connection != NULL && connection->retry_at != 0 && !connection->stale &&
		GetCurrentTimestamp() < connection->retry_at;
}

/*
 * connection_back_off
 *		A node can't be connected to for a role: not before some time.
 */
void
connection_back_off(Oid serverid, Oid userid)
{
	RemoteConnection *connection = lookup(serverid, userid, true);

	connection->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_DELAY_MS);
}

/*
 * connection_find
 *		Acquire the connection to a node for a role, if there is one that is
 *		good and not busy; otherwise NULL, with a busy one left alone.
 */
RemoteConnection *
connection_find(Oid serverid, Oid userid)
{
	RemoteConnection *connection = lookup(serverid, userid, false);

	if (connection == NULL || connection->conn == NULL || connection->busy)
		return NULL;
	if (connection->stale || connection->wait_set == NULL ||
		PQstatus(connection->conn) != CONNECTION_OK || has_news(connection->conn) ||
		!login_serves(connection->login, userid))
	{
		disconnect(connection);
		return NULL;
	}
	connection->busy = true;
	return connection;
}

/*
 * connection_open
 *		Make a connection to a node for a role, and acquire it.
 *
 * Returns NULL and fills *error when that fails, when the node isn't a server
 * of this cluster, or when the connection is in use already (a cursor reads
 * from it).
 */
RemoteConnection *
connection_open(Oid serverid, Oid userid, const RemoteConnectionTarget *target,
				RemoteError *error)
{
	RemoteConnection *connection = lookup(serverid, userid, true);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz deadline = TimestampTzPlusMilliseconds(now, CONNECT_TIMEOUT_MS);
	PGconn	   *conn;

	if (connection->busy)
	{
		remote_error_set(error, ERRCODE_OBJECT_IN_USE, "connection is in use");
		return NULL;
	}

	/* Set before connecting, so that a change meanwhile is noticed. */
	connection->stale = false;
	connection->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	connection->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(target->umid));
	connection->retry_at = TimestampTzPlusMilliseconds(now, RETRY_DELAY_MS);

	conn = connect_to(target, deadline, error);
	if (conn == NULL)
		return NULL;
	PQsetNoticeReceiver(conn, pass_notice_on, connection);
	PG_TRY();
	{
		if (!check_login(conn, userid, target, error) ||
			!set_up(conn, userid, deadline, error))
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
	if (conn == NULL)
		return NULL;

	connection->conn = conn;
	connection->login = login_role(conn);
	make_wait_set(connection);
	connection->busy = true;
	connection->retry_at = 0;
	return connection;
}

/*
 * connection_release
 *		Hand a connection back; "reusable" says that nothing is under way.
 *
 * Doesn't raise errors: it is called while others are cleaned up after.
 */
void
connection_release(RemoteConnection *connection, bool reusable)
{
	connection->busy = false;
	if (!reusable || connection->stale)
		disconnect(connection);
}

/*
 * connection_wait
 *		Wait for the socket of a connection, for at most so many milliseconds.
 *		False when that time has passed.
 *
 * The set of what is waited for is kept: making one costs more than waiting.
 */
bool
connection_wait(RemoteConnection *connection, int socket_events, long timeout_ms)
{
	WaitEvent	event;
	int			nevents;

	ModifyWaitEvent(connection->wait_set, WAIT_SET_SOCKET, socket_events, NULL);
	nevents = WaitEventSetWait(connection->wait_set, timeout_ms, &event, 1,
							   wait_event_remote());
	if (nevents > 0 && (event.events & WL_LATCH_SET))
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return nevents > 0;
}

/*
 * Has something come over a connection that nothing was asked of?  Mostly that
 * is the node's goodbye, before it was stopped or restarted.
 */
static bool
has_news(PGconn *conn)
{
	char		byte;

	return recv(PQsocket(conn), &byte, 1, MSG_PEEK) >= 0 ||
		(errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static RemoteConnection *
lookup(Oid serverid, Oid userid, bool create)
{
	RemoteConnectionKey key = {serverid, userid};
	RemoteConnection *connection;
	bool		found;

	if (connections == NULL)
	{
		HASHCTL		ctl = {0};

		if (!create)
			return NULL;
		ctl.keysize = sizeof(RemoteConnectionKey);
		ctl.entrysize = sizeof(RemoteConnection);
		connections = hash_create("consistency connections", 8, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, mark_stale, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, mark_stale, (Datum) 0);
	}

	connection = hash_search(connections, &key, create ? HASH_ENTER : HASH_FIND, &found);
	if (create && !found)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		memset((char *) connection + sizeof(key), 0, sizeof(*connection) - sizeof(key));
		initStringInfo(&connection->settings);
		MemoryContextSwitchTo(old);
	}
	return connection;
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
 * Is this login allowed to serve the role?
 *
 * What runs over there can go back from the role to the login.  So that must be
 * no other role than what runs here can go back to: the role itself, or the
 * session's user.  The latter can't be a superuser where the role isn't: a
 * superuser's session has more to lose there than a look at some rows.
 *
 * The password of the mapping must have been used where that is required.
 */
static bool
check_login(PGconn *conn, Oid userid, const RemoteConnectionTarget *target, RemoteError *error)
{
	const char *is_superuser = PQparameterStatus(conn, "is_superuser");

	if (target->password_required && !PQconnectionUsedPassword(conn))
	{
		remote_error_set(error, ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED,
						 "password is required, but the node did not ask for one");
		return false;
	}
	if (!login_serves(login_role(conn), userid))
	{
		remote_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						 "user mapping logs in as another role");
		return false;
	}
	if (!superuser_arg(userid) &&
		(is_superuser == NULL || strcmp(is_superuser, "off") != 0))
	{
		remote_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						 "user mapping logs in as a superuser, but the local role is none");
		return false;
	}
	return true;
}

/* The role that a connection has logged in as. */
static Oid
login_role(PGconn *conn)
{
	const char *name = PQparameterStatus(conn, "session_authorization");

	return name ? get_role_oid(name, true) : InvalidOid;
}

static bool
login_serves(Oid login, Oid userid)
{
	return OidIsValid(login) && (login == userid || login == GetSessionUserId());
}

/* Become the role, set what all statements need, see where we are. */
static bool
set_up(PGconn *conn, Oid userid, TimestampTz deadline, RemoteError *error)
{
	StringInfoData sql;
	PGresult   *result;
	bool		ok = true;
	bool		is_known = false;

	initStringInfo(&sql);
	if (login_role(conn) != userid)
		appendStringInfo(&sql, "SET ROLE %s;",
						 quote_identifier(GetUserNameFromId(userid, false)));
	appendStringInfoString(&sql, SETUP_SQL);

	if (PQsetnonblocking(conn, 1) != 0 || !PQsendQuery(conn, sql.data))
	{
		remote_error_from_connection(error, conn);
		return false;
	}
	while ((result = next_result(conn, deadline, error)) != NULL)
	{
		if (!ok)
			;					/* keep the first error */
		else if (PQresultStatus(result) == PGRES_TUPLES_OK)
			ok = is_known = is_this_database(result, error);
		else if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			remote_error_from_result(error, result, conn);
			ok = false;
		}
		PQclear(result);
	}
	return ok && is_known && error->sqlstate == 0;
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

static void
make_wait_set(RemoteConnection *connection)
{
	connection->wait_set = compat_create_wait_event_set(3);
	AddWaitEventToSet(connection->wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(connection->wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(connection->wait_set, WL_SOCKET_READABLE, PQsocket(connection->conn),
					  NULL, NULL);
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

/* Notices of the user's query are the user's. */
static void
pass_notice_on(void *arg, const PGresult *result)
{
	RemoteConnection *connection = arg;

	if (remote_error_is_stale_warning(result))
		connection->stale_answer = true;
	remote_error_pass_notice_on(result);
}

static void
disconnect(RemoteConnection *connection)
{
	if (connection->wait_set)
		FreeWaitEventSet(connection->wait_set);
	connection->wait_set = NULL;
	PQfinish(connection->conn);
	connection->conn = NULL;
	resetStringInfo(&connection->settings);
	connection->position = POSITION_NONE;
	if (connection->statements)
		hash_destroy(connection->statements);
	connection->statements = NULL;
}

/* A server or mapping changed (hashvalue 0: perhaps any). */
static void
mark_stale(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	RemoteConnection *connection;

	hash_seq_init(&status, connections);
	while ((connection = hash_seq_search(&status)) != NULL)
	{
		if (hashvalue == 0 ||
			(cacheid == FOREIGNSERVEROID && connection->server_hash == hashvalue) ||
			(cacheid == USERMAPPINGOID && connection->mapping_hash == hashvalue))
			connection->stale = true;
	}
}
