/*-------------------------------------------------------------------------
 *
 * node_connection.c
 *	  The connection to a node that the current role's statements go over.
 *
 * One connection serves a session whatever roles it takes on, where that is
 * possible: the one of the session's user, who may become over there what he
 * became here.  That needs a mapping of his that logs in as himself.  A peer's
 * roles are its own: there a connection is always that of the current role.  A
 * superuser's connection serves no role that is none; a function with its
 * owner's rights is no role that the session's user can take on.  In these
 * cases the connection is that of the current role.
 *
 * Puts together what the catalogs say about a node (node_catalog.c) and the
 * connections that this backend has (connection.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "core/guc.h"
#include "exec/node_connection.h"
#include "node/node_catalog.h"
#include "remote/connection_limit.h"
#include "session/session.h"
#include "session/token.h"

static bool logs_in_as_itself(Oid serverid, Oid userid);
static bool note_token(RemoteConnection *connection, const char *token);
static uint64 node_hash(Oid serverid);
static RemoteConnection *open_as(Oid serverid, Oid userid, const NodeConnInfo *conninfo,
								 bool wait, RemoteError *error);

/*
 * node_connection_user
 *		The role by whose user mapping the current role connects to a node.
 */
Oid
node_connection_user(Oid serverid)
{
	Oid			role = GetUserId();
	Oid			session_user = GetSessionUserId();

	if (role == session_user || role != GetOuterUserId() || node_catalog_is_peer(serverid) ||
		(superuser_arg(session_user) && !superuser_arg(role)) ||
		!logs_in_as_itself(serverid, session_user))
		return role;
	return session_user;
}

/*
 * node_connection_acquire
 *		Acquire the connection to a node for the current role; make one if there
 *		is none.
 *
 * Returns NULL and fills *error when that can't be done.  Where the node has as
 * many connections as it may, a replica waits for one to go, since nobody but
 * the primary can serve what it sends there.
 */
RemoteConnection *
node_connection_acquire(Oid serverid, RemoteError *error)
{
	Oid			userid = node_connection_user(serverid);
	RemoteConnection *connection = connection_find(serverid, userid);
	NodeConnInfo conninfo;

	if (connection)
		return connection;
	if (!node_catalog_conninfo(serverid, userid, true, &conninfo))
	{
		connection_back_off(serverid, userid);
		remote_error_set(error, ERRCODE_UNDEFINED_OBJECT, "no usable user mapping");
		return NULL;
	}
	return open_as(serverid, userid, &conninfo, RecoveryInProgress(), error);
}

/*
 * node_connection_open
 *		Make a new connection to a node for the current role, and acquire it.
 *
 * Raises an error where the catalogs say that it can't be made, and returns NULL
 * and fills *error when it could not be made.
 */
RemoteConnection *
node_connection_open(Oid serverid, RemoteError *error)
{
	Oid			userid = node_connection_user(serverid);
	NodeConnInfo conninfo;

	node_catalog_conninfo(serverid, userid, false, &conninfo);
	return open_as(serverid, userid, &conninfo, false, error);
}

/*
 * node_connection_read_token
 *		Take note of what the session has seen at the node, which the node has
 *		told by the end of a transaction.  False if it hasn't.
 *
 * Behind a pooler only what moves is told, but that was asked for as well.
 */
bool
node_connection_read_token(RemoteConnection *connection)
{
	bool		told = note_token(connection,
								  PQparameterStatus(connection->conn, "consistency.token"));

	return note_token(connection, connection->token) || (told && !connection->pooled);
}

static bool
note_token(RemoteConnection *connection, const char *token)
{
	Token		told;

	if (token == NULL ||
		token_parse(token, GetSystemIdentifier(), &told) != TOKEN_OK ||
		!position_is_set(told.newest))
		return false;
	connection->position = connection->pooled ?
		position_max(connection->position, told.newest) : told.newest;
	session_observed_elsewhere(told);
	return true;
}

static uint64
node_hash(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);

	return connection_limit_node(node_catalog_host(server), node_catalog_port(server));
}

/* Has the role a usable mapping that logs in as this very role? */
static bool
logs_in_as_itself(Oid serverid, Oid userid)
{
	NodeConnInfo conninfo;
	const char *login = NULL;
	const char *name = GetUserNameFromId(userid, true);

	if (name == NULL || !node_catalog_conninfo(serverid, userid, true, &conninfo))
		return false;
	for (int i = 0; conninfo.keywords[i]; i++)
	{
		if (strcmp(conninfo.keywords[i], "user") == 0)
			login = conninfo.values[i]; /* the last one counts */
	}
	return login && strcmp(login, name) == 0;
}

static RemoteConnection *
open_as(Oid serverid, Oid userid, const NodeConnInfo *conninfo, bool wait, RemoteError *error)
{
	RemoteConnectionTarget target = {
		.umid = conninfo->umid,
		.keywords = conninfo->keywords,
		.values = conninfo->values,
		.password_required = conninfo->password_required,
		.peer = node_catalog_is_peer(serverid),
		.node = node_hash(serverid),
	};

	if (wait)
		target.place_deadline =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_wait_timeout);
	/* That can take long, and replay must not wait for us. */
	InvalidateCatalogSnapshot();
	return connection_open(serverid, userid, &target, error);
}
