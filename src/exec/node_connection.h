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

extern RemoteConnection *node_connection_acquire(Oid serverid, RemoteError *error);
extern RemoteConnection *node_connection_open(Oid serverid, RemoteError *error);

#endif							/* CONSISTENCY_NODE_CONNECTION_H */
