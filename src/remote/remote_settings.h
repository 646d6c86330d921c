/*-------------------------------------------------------------------------
 *
 * remote_settings.h
 *	  Settings that a query must find at another node as it finds them here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_SETTINGS_H
#define CONSISTENCY_REMOTE_SETTINGS_H

#include "remote/connection.h"

/* The statement that brings the other side up to date, and its parameters */
typedef struct RemoteSettingsChange
{
	char	   *sql;
	int			nvalues;
	char	  **values;
} RemoteSettingsChange;

/* What the statement is promised; the other side's settings say it */
typedef struct RemotePromise
{
	const char *level;
	bool		keeps_session;	/* "bounded" keeps "session" as well */
	int			max_staleness_ms;	/* -1: no bound */
	int			max_lag;		/* bytes; -1: no bound */
	const char *on_timeout;
	bool		require_fence;	/* the primary must be confirmed */
	int			wait_timeout_ms;
} RemotePromise;

extern bool remote_settings_change(RemoteConnection *connection, const RemotePromise *promise,
								   RemoteSettingsChange *change);
extern void remote_settings_forget(RemoteConnection *connection);

#endif							/* CONSISTENCY_REMOTE_SETTINGS_H */
