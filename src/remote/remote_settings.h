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

extern bool remote_settings_change(RemoteConnection *connection, int wait_timeout_ms,
								   RemoteSettingsChange *change);

#endif							/* CONSISTENCY_REMOTE_SETTINGS_H */
