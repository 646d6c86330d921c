/*-------------------------------------------------------------------------
 *
 * node_ask.h
 *	  Asking a node something, as the current role, for a limited time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_ASK_H
#define CONSISTENCY_NODE_ASK_H

#include "libpq-fe.h"
#include "utils/timestamp.h"

#include "remote/remote_error.h"

typedef struct NodeQuestion
{
	const char *settings;		/* commands ahead of the query, each with a
								 * semicolon */
	const char *query;
	TimestampTz deadline;		/* of the answer */
	void		(*begin) (void *arg);	/* an answer begins; what came before
										 * is void.  NULL: nothing to do */
	void		(*accept) (void *arg, const PGresult *result, int encoding);	/* takes rows */
	void	   *arg;
	bool		connected;		/* set: it let the caller in */
} NodeQuestion;

extern bool node_ask(Oid serverid, NodeQuestion *question, RemoteError *error);
extern char *node_ask_value(const PGresult *result, int row, int column, int encoding);

#endif							/* CONSISTENCY_NODE_ASK_H */
