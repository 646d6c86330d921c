/*-------------------------------------------------------------------------
 *
 * remote_error.h
 *	  An error of another node, kept until it is known what to make of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_ERROR_H
#define CONSISTENCY_REMOTE_ERROR_H

#include "libpq-fe.h"

typedef struct RemoteError
{
	int			sqlstate;		/* 0: no error */
	char	   *message;		/* palloc'd, as are the others; never NULL
								 * with a sqlstate */
	char	   *detail;			/* NULL if there is none, as the others */
	char	   *hint;
	char	   *context;
	char	   *schema_name;
	char	   *table_name;
	char	   *column_name;
	char	   *datatype_name;
	char	   *constraint_name;
	int			position;		/* in the text that was sent, characters, from
								 * 1; 0: none */
	int			internal_position;	/* the same in internal_query */
	char	   *internal_query;
	bool		from_server;	/* the node reported it; else the connection
								 * is broken, or it is one of ours */
	bool		fatal;			/* the node's session has ended with it */
} RemoteError;

extern void remote_error_set(RemoteError *error, int sqlstate, const char *message);
extern void remote_error_from_connection(RemoteError *error, PGconn *conn);
extern void remote_error_from_result(RemoteError *error, const PGresult *result, PGconn *conn);
extern void remote_error_from_setup(RemoteError *error, const PGresult *result, PGconn *conn);
extern bool remote_error_is_stale_warning(const PGresult *result);
extern bool remote_error_is_raised(const ErrorData *error);
extern void remote_error_pass_notice_on(const PGresult *result);
extern void remote_error_raise(const RemoteError *error, const char *node) pg_attribute_noreturn();
extern void remote_error_raise_own(const RemoteError *error, const char *text,
								   int offset) pg_attribute_noreturn();

#endif							/* CONSISTENCY_REMOTE_ERROR_H */
