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

/* Where a read was answered, and how */
typedef enum ReadPlace
{
	READ_LOCAL,					/* where the client is connected, at once */
	READ_WAITED,				/* there, after a wait */
	READ_ROUTED,				/* by a primary at a replica */
	READ_FORWARDED,				/* by a replica at the primary */
	READ_STALE,					/* anywhere, with less than was promised */
	READ_REFUSED,				/* nowhere: the promise couldn't be kept */
	NUM_READ_PLACES
} ReadPlace;

/* Why the primary served a read that a replica was to serve */
typedef enum ReadFallback
{
	FALLBACK_NONE,
	FALLBACK_NO_REPLICA,		/* none is up */
	FALLBACK_LAG,				/* none is expected to have the position in
								 * time */
	FALLBACK_NODE_LATE,			/* one was asked, and didn't get there in time */
	FALLBACK_NODE_FAILED,		/* one was asked, and failed */
	FALLBACK_WAIT,				/* the client's own replica doesn't get there
								 * in time */
	NUM_READ_FALLBACKS
} ReadFallback;

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
	ReadPlace	place;
	ReadFallback fallback;
	int			timeouts;		/* waits that were in vain */
	int			retries;		/* nodes that were asked in vain */
	const char *reason;			/* static, or reason_text */
	char		reason_text[128];
	char		node[64];		/* name of the server object, "" for this
								 * server */
	bool		asks;			/* the statement calls last_read() itself */
	uint64		number;			/* counts the statements of this session */
} LastRead;

extern LastRead *last_read_begin(void);
extern LastRead *last_read_current(void);
extern const char *read_place_name(ReadPlace place);
extern void last_read_promise(const Declaration *declaration, const Requirement *requirement);

#endif							/* CONSISTENCY_LAST_READ_H */
