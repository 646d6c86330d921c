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
#include "nodes/pg_list.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"

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
	const List *ahead;			/* commands that go ahead of it (char *) */
	bool		ticket;			/* ask for the transaction's ticket behind it */
	bool		commit;			/* it asks for the ticket; commit behind it */
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
	uint64		prepared_key;	/* which one */
	int			ticket_prepared_by; /* the command, from 1, that prepares what
									 * asks for the ticket; 0: none does */
	bool		simple;			/* sent as a simple query, not in a pipeline */
	bool		copy;			/* sent as COPY: see remote_copy.c */
	PGresult   *shape;			/* of a COPY: a result without rows that tells
								 * the columns */
	bool		header_read;	/* of a COPY: its header came */
	bool		started;		/* the query's own results have begun */
	bool		finished;		/* everything was read: the connection is idle */

	/* for statements whose outcome matters, as that of a write does */
	bool		guarded;		/* a cancel is passed on, and the outcome
								 * awaited */
	TimestampTz cancel_deadline;	/* until then; 0: no cancel came */
	bool		sent;			/* all of it: what is committed by its end may
								 * be, whether or not an answer comes */
	bool		wants_ticket;	/* the ticket's result is to be read as well */
	bool		commits;		/* and that of COMMIT */
	char	   *ticket;			/* palloc'd; NULL: none, or not yet */
	char		tag[COMPLETION_TAG_BUFSIZE];	/* command tag, when it ended */
} RemoteQuery;

/* tells by what the outcome of the current transaction can be asked for */
#define REMOTE_QUERY_TICKET_SQL "SELECT consistency.transaction_ticket()"

extern bool remote_query_send(RemoteQuery *query, const RemoteQueryText *text,
							  Position position, const char *token);
extern bool remote_query_next_row(RemoteQuery *query, RemoteRow *row);
extern void remote_row_free(RemoteRow *row);
extern void remote_query_recover(RemoteQuery *query);

/* for remote_copy.c */
extern bool remote_query_send_settings(RemoteQuery *query);
extern bool remote_query_flush(RemoteQuery *query);
extern PGresult *remote_query_next_result(RemoteQuery *query);
extern void remote_query_fail(RemoteQuery *query, const PGresult *result);
extern bool remote_query_wait(RemoteQuery *query, int socket_events);

#endif							/* CONSISTENCY_REMOTE_QUERY_H */
