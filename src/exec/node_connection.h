/*-------------------------------------------------------------------------
 *
 * node_connection.h
 *	  The connection to a node that the current role's statements go over.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_CONNECTION_H
#define CONSISTENCY_NODE_CONNECTION_H

#include "remote/connection.h"

extern Oid	node_connection_user(Oid serverid);
extern RemoteConnection *node_connection_acquire(Oid serverid, RemoteError *error);
extern RemoteConnection *node_connection_open(Oid serverid, RemoteError *error);

extern bool node_connection_read_token(RemoteConnection *connection);

#endif							/* CONSISTENCY_NODE_CONNECTION_H */
