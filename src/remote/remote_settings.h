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
	char		read_quorum[8]; /* nodes that it must ask first; "one": none */
} RemotePromise;

/* What has happened to the other side's session */
typedef enum RemoteSettingsEvent
{
	REMOTE_SETTINGS_DONE,		/* a statement ran, be it as a transaction */
	REMOTE_SETTINGS_COMMITTED,	/* a transaction of several was committed */
	REMOTE_SETTINGS_UNDONE,		/* it was rolled back, or a part of it */
} RemoteSettingsEvent;

struct config_generic;

extern bool remote_settings_change(RemoteConnection *connection, const RemotePromise *promise,
								   RemoteSettingsChange *change);
extern bool remote_settings_may_become_ours(const RemoteConnection *connection);
extern bool remote_settings_begin_plainly(const RemoteConnection *connection);
extern void remote_settings_forget(RemoteConnection *connection);

/* settings_return.c */
extern void remote_settings_return(RemoteConnection *connection, RemoteSettingsEvent event);

/* for settings_return.c, settings_report.c and connection.c */
extern void remote_settings_note(RemoteConnection *connection, const char *report);
extern const char *remote_settings_had(const RemoteConnection *connection, const char *name);
extern const char *remote_settings_next(const RemoteConnection *connection, const char *name);
extern uint64 remote_settings_hash(const struct config_generic *setting);

#endif							/* CONSISTENCY_REMOTE_SETTINGS_H */
