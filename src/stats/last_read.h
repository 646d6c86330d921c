/*-------------------------------------------------------------------------
 *
 * last_read.h
 *	  What happened to the last statement: consistency.last_read().
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_LAST_READ_H
#define CONSISTENCY_LAST_READ_H

#include "datatype/timestamp.h"

#include "core/position.h"
#include "requirement/requirement.h"
#include "session/declaration.h"

/* less than that is no wait: the shortest nap is longer */
#define LAST_READ_WAITED_US 1000

/*
 * Filled for every statement, so that what takes time waits until somebody
 * asks.
 */
typedef struct LastRead
{
	ConsistencyLevel level;		/* unset: there was no statement */
	DeclarationSource source;	/* who asked for that level */
	Oid			relation;		/* whose policy, if a policy did */
	Requirement requirement;	/* what it came to */
	Position	position;		/* what the read was known to run at, or
								 * beyond */
	int64		waited_us;		/* in the server that was asked, microseconds */
	const char *place;			/* static: local, waited, routed, forwarded,
								 * stale */
	const char *reason;			/* static, or reason_text */
	char		reason_text[128];
	char		node[64];		/* name of the server object, "" for this
								 * server */
	bool		asks;			/* the statement calls last_read() itself */
} LastRead;

extern LastRead *last_read_begin(void);
extern LastRead *last_read_current(void);
extern void last_read_promise(const Declaration *declaration, const Requirement *requirement);

#endif							/* CONSISTENCY_LAST_READ_H */
