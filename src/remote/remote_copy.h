/*-------------------------------------------------------------------------
 *
 * remote_copy.h
 *	  A query with many rows, as COPY (query) TO STDOUT.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_COPY_H
#define CONSISTENCY_REMOTE_COPY_H

#include "remote/remote_query.h"

extern bool remote_copy_is_better(const RemoteQuery *query, const RemoteQueryText *text);
extern bool remote_copy_send(RemoteQuery *query, const RemoteQueryText *text,
							 const char *token);
extern bool remote_copy_next_row(RemoteQuery *query, RemoteRow *row);

#endif							/* CONSISTENCY_REMOTE_COPY_H */
