/*-------------------------------------------------------------------------
 *
 * connect.h
 *	  Making a connection to another node.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONNECT_H
#define CONSISTENCY_CONNECT_H

#include "remote/connection.h"

extern PGconn *connect_node(RemoteConnection *connection, const RemoteConnectionTarget *target,
							RemoteError *error);
extern bool connect_login_serves(Oid login, bool is_superuser);

#endif							/* CONSISTENCY_CONNECT_H */
