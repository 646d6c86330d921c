/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  Connections of a backend to other nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/guc.h"
#include "core/wait_event.h"
#include "remote/connect.h"
#include "remote/connection_limit.h"
#include "remote/remote_settings.h"
#include "remote/settings_report.h"

/* after a failure statements run elsewhere for so long, milliseconds */
#define RETRY_DELAY_MS 2000

/* before the node closes an idle connection, milliseconds */
#define GOODBYE_MARGIN_MS 500

/* how long a command may take while something is being aborted, milliseconds */
#define ABORT_LIMIT_MS 2000

/* place of the socket in a connection's wait set: see make_wait_set() */
#define WAIT_SET_SOCKET 2

static HTAB *connections = NULL;

static bool take_place(RemoteConnection *connection, const RemoteConnectionTarget *target,
					   RemoteError *error);
static void close_idle(uint64 node);
static void leave_idle(RemoteConnection *connection);
static bool read_results_now(PGconn *conn, TimestampTz deadline);
static bool is_usable(const RemoteConnection *connection);
static bool has_news(PGconn *conn);
static void note_settings(RemoteConnection *connection);
static void make_wait_set(RemoteConnection *connection);
static RemoteConnection *lookup(Oid serverid, Oid userid, bool create);
static void pass_notice_on(void *arg, const PGresult *result);
static void disconnect(RemoteConnection *connection);
static void mark_stale(Datum arg, int cacheid, uint32 hashvalue);

/*
 * connection_is_backing_off
 *		Did connecting to a node by a role's user mapping fail a moment ago?
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
 *		A node can't be connected to by a role's mapping: not before some time.
 */
void
connection_back_off(Oid serverid, Oid userid)
{
	RemoteConnection *connection = lookup(serverid, userid, true);

	connection->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_DELAY_MS);
}

/*
 * connection_find
 *		Acquire the connection to a node by a role's user mapping, if there is
 *		one that is good and not busy; otherwise NULL, with a busy one left
 *		alone.
 */
RemoteConnection *
connection_find(Oid serverid, Oid userid)
{
	RemoteConnection *connection = lookup(serverid, userid, false);
	const char *in_recovery;

	if (connection == NULL || connection->conn == NULL || connection->busy)
		return NULL;
	if (!is_usable(connection))
	{
		disconnect(connection);
		return NULL;
	}

	/* A promotion is told with the first answer behind it. */
	in_recovery = PQparameterStatus(connection->conn, "in_hot_standby");
	if (in_recovery && strcmp(in_recovery, "off") == 0)
		connection->in_recovery = false;
	connection_limit_in_use(connection->place);
	connection->busy = true;
	return connection;
}

/*
 * connection_open
 *		Make a connection to a node by a role's user mapping, and acquire it.
 *
 * Returns NULL and fills *error when that fails, when the node isn't a server
 * of this cluster, when the login may not serve the current role, or when the
 * connection is in use already (a cursor reads from it).
 */
RemoteConnection *
connection_open(Oid serverid, Oid userid, const RemoteConnectionTarget *target,
				RemoteError *error)
{
	RemoteConnection *connection = lookup(serverid, userid, true);

	if (connection->busy)
	{
		remote_error_set(error, ERRCODE_OBJECT_IN_USE, "connection is in use");
		return NULL;
	}

	disconnect(connection);
	if (!take_place(connection, target, error))
		return NULL;

	/* Set before connecting, so that a change meanwhile is noticed. */
	connection->stale = false;
	connection->peer = target->peer;
	connection->server_hash =
		GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	connection->mapping_hash =
		GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(target->umid));
	connection_back_off(serverid, userid);

	PG_TRY();
	{
		connection->conn = connect_node(connection, target, error);
	}
	PG_FINALLY();
	{
		if (connection->conn == NULL)
			disconnect(connection); /* gives the place back */
	}
	PG_END_TRY();
	if (connection->conn == NULL)
		return NULL;
	PQsetNoticeReceiver(connection->conn, pass_notice_on, connection);
	note_settings(connection);
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
	if (!reusable ||
		(!connection->pinned && (connection->stale || connection_limit_is_waited_for())))
		disconnect(connection);
	else
	{
		connection_transaction_ended(connection);
		leave_idle(connection);
	}
}

/*
 * Take note of when the node closes it.  It is given up a little before, so that
 * nothing is sent to a node which says goodbye at that moment.
 */
static void
leave_idle(RemoteConnection *connection)
{
	int			timeout = connection_idle_timeout(connection);

	connection->closes_at = 0;
	if (timeout == 0 || connection->pooled)
		return;
	connection->closes_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	connection_limit_idle(connection->place, connection->closes_at);
	connection->closes_at -= Min(timeout / 2, GOODBYE_MARGIN_MS) * INT64CONST(1000);
}

/* When the node is to close the connection if it isn't used, ms; 0: never. */
int
connection_idle_timeout(const RemoteConnection *connection)
{
	return connection->pinned ? 0 : guc_connection_idle_timeout;
}

/*
 * connection_transaction_ended
 *		What runs over the connection from now on is another transaction.
 */
void
connection_transaction_ended(RemoteConnection *connection)
{
	if (!connection->pooled)
		return;
	resetStringInfo(&connection->settings);
	resetStringInfo(&connection->setting_names);
	connection->position = POSITION_NONE;
	connection->token[0] = '\0';
}

/*
 * connection_discard_all
 *		Close all connections; those that are in use when they are handed back.
 */
void
connection_discard_all(void)
{
	HASH_SEQ_STATUS status;
	RemoteConnection *connection;

	if (connections == NULL)
		return;
	hash_seq_init(&status, connections);
	while ((connection = hash_seq_search(&status)) != NULL)
	{
		if (connection->busy)
		{
			connection->stale = true;
			connection->pinned = false;
		}
		else
			disconnect(connection);
	}
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
 * connection_run_now
 *		Run a command, or several, while a transaction or subtransaction is being
 *		aborted: no error may be raised, and it can't take long.  False in vain.
 */
bool
connection_run_now(RemoteConnection *connection, const char *sql)
{
	PGconn	   *conn = connection->conn;

	return PQexitPipelineMode(conn) && PQsendQuery(conn, sql) &&
		read_results_now(conn,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ABORT_LIMIT_MS));
}

/* Read results up to their end; false if there is an error, or none in time. */
static bool
read_results_now(PGconn *conn, TimestampTz deadline)
{
	bool		ok = true;

	for (;;)
	{
		PGresult   *result;

		while (PQflush(conn) > 0 || PQisBusy(conn))
		{
			long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

			if (left <= 0)
				return false;
			(void) WaitLatchOrSocket(MyLatch, WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
									 PQsocket(conn), left, wait_event_remote());
			if (!PQconsumeInput(conn))
				return false;
		}
		result = PQgetResult(conn);
		if (result == NULL)
			return ok && PQstatus(conn) == CONNECTION_OK;
		ok &= PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
	}
}

/*
 * Wait for the node to have room for a connection; false and *error in vain.
 * The session's other connections to it are given up first.
 */
static bool
take_place(RemoteConnection *connection, const RemoteConnectionTarget *target,
		   RemoteError *error)
{
	connection->node = target->node;
	if (connection_limit_take(target->node, 0, &connection->place))
		return true;
	close_idle(target->node);
	if (connection_limit_take(target->node, target->place_deadline, &connection->place))
		return true;
	connection->retry_at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_DELAY_MS);
	remote_error_set(error, ERRCODE_TOO_MANY_CONNECTIONS,
					 "too many connections to the node");
	error->detail = psprintf("This server has as many as consistency.connection_limit allows: %d.",
							 guc_connection_limit);
	error->hint = pstrdup("Raise consistency.connection_limit, or have connections closed earlier by a lower consistency.connection_idle_timeout.");
	return false;
}

/* Close this backend's connections to a node that aren't in use. */
static void
close_idle(uint64 node)
{
	HASH_SEQ_STATUS status;
	RemoteConnection *connection;

	hash_seq_init(&status, connections);
	while ((connection = hash_seq_search(&status)) != NULL)
	{
		if (connection->node == node && !connection->busy && !connection->pinned)
			disconnect(connection);
	}
}

/* What it has there by itself was told with the first answer. */
static void
note_settings(RemoteConnection *connection)
{
	const char *report = PQparameterStatus(connection->conn, SETTINGS_REPORT_NAME);

	if (report && !connection->pooled)
		remote_settings_note(connection, report);
}

/*
 * connection_is_open
 *		Has the other side not closed a connection, as far as is known by now?
 *		What has come of it is read.
 */
bool
connection_is_open(RemoteConnection *connection)
{
	while (PQstatus(connection->conn) == CONNECTION_OK && has_news(connection->conn))
	{
		if (!PQconsumeInput(connection->conn))
			return false;
		(void) PQisBusy(connection->conn);	/* has libpq look at it */
	}
	return PQstatus(connection->conn) == CONNECTION_OK && !connection->ended;
}

/* Can the current role go on over it? */
static bool
is_usable(const RemoteConnection *connection)
{
	return (!connection->stale || connection->pinned) && connection->wait_set != NULL &&
		PQstatus(connection->conn) == CONNECTION_OK && !has_news(connection->conn) &&
		(connection->closes_at == 0 || GetCurrentTimestamp() < connection->closes_at) &&
		(connection->peer ||
		 connect_login_serves(connection->login, connection->login_is_superuser)) &&
		remote_settings_may_become_ours(connection);
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
		connection->place = CONNECTION_NOT_COUNTED;
		initStringInfo(&connection->settings);
		initStringInfo(&connection->setting_names);
		initStringInfo(&connection->restricted_settings);
		initStringInfo(&connection->login_settings);
		initStringInfo(&connection->settings_report);
		MemoryContextSwitchTo(old);
	}
	return connection;
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

/* Notices of the user's query are the user's. */
static void
pass_notice_on(void *arg, const PGresult *result)
{
	RemoteConnection *connection = arg;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity && strcmp(severity, "FATAL") == 0)
		connection->ended = true;
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
	connection_limit_give_back(connection->place);
	connection->place = CONNECTION_NOT_COUNTED;
	connection->pinned = false;
	connection->closes_at = 0;
	connection->token[0] = '\0';
	resetStringInfo(&connection->settings);
	resetStringInfo(&connection->setting_names);
	resetStringInfo(&connection->restricted_settings);
	resetStringInfo(&connection->login_settings);
	resetStringInfo(&connection->settings_report);
	connection->position = POSITION_NONE;
	connection->ended = false;
	if (connection->statements)
		hash_destroy(connection->statements);
	connection->statements = NULL;
	connection->has_ticket = false;
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
