/*-------------------------------------------------------------------------
 *
 * remote_prepared.h
 *	  Statements that are kept prepared over a connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_PREPARED_H
#define CONSISTENCY_REMOTE_PREPARED_H

#include "remote/connection.h"

#define REMOTE_PREPARED_NAME_SIZE 32

/* A statement text that was sent over a connection before */
typedef struct RemotePrepared
{
	uint64		key;			/* hash of the text, the parameter types, and
								 * the settings that it was parsed with */
	uint32		number;			/* part of its name */
	bool		there;			/* the other side has it */
} RemotePrepared;

extern RemotePrepared *remote_prepared_find(RemoteConnection *connection, const char *sql,
											const Oid *param_types, int nparams);
extern char *remote_prepared_name(const RemotePrepared *prepared, char *buf);
extern void remote_prepared_is_there(RemoteConnection *connection, uint64 key);
extern bool remote_prepared_drop_outdated(RemoteConnection *connection);

#endif							/* CONSISTENCY_REMOTE_PREPARED_H */
