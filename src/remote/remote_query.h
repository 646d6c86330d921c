/*-------------------------------------------------------------------------
 *
 * remote_query.h
 *	  One query at another node, its rows read as they come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_QUERY_H
#define CONSISTENCY_REMOTE_QUERY_H

#include "libpq-fe.h"

#include "remote/connection.h"
#include "remote/remote_error.h"

/* What is sent */
typedef struct RemoteQueryText
{
	const char *sql;
	int			nparams;
	const Oid  *param_types;
	const char *const *param_values;
	const int  *param_lengths;
	const int  *param_formats;
	int			result_format;	/* 0: text, 1: binary */
	bool		text_is_exact;	/* the result may come as text whatever is
								 * wished */
} RemoteQueryText;

typedef struct RemoteQuery
{
	RemoteConnection *connection;
	int			wait_timeout_ms;	/* how long the node may wait for a
									 * position */
	RemoteError error;			/* why there is no row, when that is an error */
	bool		(*abandon) (void *arg); /* asked now and then while waiting:
										 * give up? */
	void	   *abandon_arg;
	int			setup_commands; /* commands ahead of the query, not answered
								 * yet */
	bool		prepares;		/* the last of them prepares the statement */
	uint64		statement_key;	/* which one */
	bool		simple;			/* sent as a simple query, not in a pipeline */
	bool		started;		/* the query's own results have begun */
	bool		finished;		/* everything was read: the connection is idle */
} RemoteQuery;

extern bool remote_query_send(RemoteQuery *query, const RemoteQueryText *text,
							  Position position, const char *token);
extern PGresult *remote_query_next_row(RemoteQuery *query);

#endif							/* CONSISTENCY_REMOTE_QUERY_H */
