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

/* less than that is no wait: the shortest nap is longer */
#define LAST_READ_WAITED_US 1000

/*
 * Filled for every statement, so that what takes time waits until somebody
 * asks.
 */
typedef struct LastRead
{
	const char *level;			/* static; NULL: there was no statement */
	bool		leader;			/* the level demands the primary */
	Position	required;		/* or this position; none: nothing */
	Position	position;		/* what the read was known to run at, or
								 * beyond */
	int64		waited_us;		/* in the server that was asked, microseconds */
	const char *place;			/* static: local, waited, routed */
	const char *reason;			/* static, or reason_text */
	char		reason_text[128];
	char		node[64];		/* name of the server object, "" for this
								 * server */
	bool		asks;			/* the statement calls last_read() itself */
} LastRead;

extern LastRead *last_read_begin(void);
extern LastRead *last_read_current(void);

#endif							/* CONSISTENCY_LAST_READ_H */
