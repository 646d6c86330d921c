/*-------------------------------------------------------------------------
 *
 * node_connection.c
 *	  The connection to a node that the current role's statements go over.
 *
 * Puts together what the catalogs say about a node (node_catalog.c) and the
 * connections that this backend has (connection.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "exec/node_connection.h"
#include "node/node_catalog.h"

static RemoteConnection *open_as(Oid serverid, Oid userid, const NodeConnInfo *conninfo,
								 RemoteError *error);

/*
 * node_connection_acquire
 *		Acquire the connection to a node for the current role; make one if there
 *		is none.
 *
 * Returns NULL and fills *error when that can't be done.
 */
RemoteConnection *
node_connection_acquire(Oid serverid, RemoteError *error)
{
	Oid			userid = GetUserId();
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
	return open_as(serverid, userid, &conninfo, error);
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
	Oid			userid = GetUserId();
	NodeConnInfo conninfo;

	node_catalog_conninfo(serverid, userid, false, &conninfo);
	return open_as(serverid, userid, &conninfo, error);
}

static RemoteConnection *
open_as(Oid serverid, Oid userid, const NodeConnInfo *conninfo, RemoteError *error)
{
	RemoteConnectionTarget target = {
		.umid = conninfo->umid,
		.keywords = conninfo->keywords,
		.values = conninfo->values,
		.password_required = conninfo->password_required,
	};

	return connection_open(serverid, userid, &target, error);
}
