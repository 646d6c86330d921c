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
#include "remote/remote_settings.h"

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
	bool		many_rows;		/* COPY may be worth its start-up cost */
} RemoteQueryText;

/* A row as it came: a result with one row, or the data of COPY BINARY */
typedef struct RemoteRow
{
	PGresult   *result;			/* NULL: see copy */
	char	   *copy;			/* malloc'd by libpq */
	char	   *copy_row;		/* where the row begins in it */
	int			copy_length;	/* bytes from there on */
} RemoteRow;

typedef struct RemoteQuery
{
	RemoteConnection *connection;
	RemotePromise promise;		/* what the node must keep */
	RemoteError error;			/* why there is no row, when that is an error */
	bool		(*abandon) (void *arg); /* asked now and then while waiting:
										 * give up? */
	void	   *abandon_arg;
	int			setup_commands; /* commands ahead of the query, not answered
								 * yet */
	bool		prepares;		/* the last of them prepares the statement */
	uint64		statement_key;	/* which one */
	bool		simple;			/* sent as a simple query, not in a pipeline */
	bool		copy;			/* sent as COPY: see remote_copy.c */
	PGresult   *shape;			/* of a COPY: a result without rows that tells
								 * the columns */
	bool		header_read;	/* of a COPY: its header came */
	bool		started;		/* the query's own results have begun */
	bool		finished;		/* everything was read: the connection is idle */
} RemoteQuery;

extern bool remote_query_send(RemoteQuery *query, const RemoteQueryText *text,
							  Position position, const char *token);
extern bool remote_query_next_row(RemoteQuery *query, RemoteRow *row);
extern void remote_row_free(RemoteRow *row);

/* for remote_copy.c */
extern bool remote_query_send_settings(RemoteQuery *query);
extern bool remote_query_flush(RemoteQuery *query);
extern PGresult *remote_query_next_result(RemoteQuery *query);
extern void remote_query_fail(RemoteQuery *query, const PGresult *result);
extern bool remote_query_wait(RemoteQuery *query, int socket_events);

#endif							/* CONSISTENCY_REMOTE_QUERY_H */
