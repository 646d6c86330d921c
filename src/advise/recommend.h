/*-------------------------------------------------------------------------
 *
 * recommend.h
 *	  Which level a use of the data calls for: consistency.recommend().
 *
 * recommend.c is the decision.  It is pure: answers in, a level and the reasons
 * out.  recommend_function.c reads the arguments and writes the statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_RECOMMEND_H
#define CONSISTENCY_RECOMMEND_H

#include "nodes/pg_list.h"

#include "session/policy.h"

/* What a read that misses something recent costs. */
typedef enum StaleRead
{
	STALE_HARMLESS,				/* nobody minds */
	STALE_CONFUSING,			/* somebody wonders */
	STALE_COSTLY				/* work is done twice, an offer is withdrawn */
} StaleRead;

/* Do several people see what the others do? */
typedef enum Collaboration
{
	COLLABORATION_NONE,
	COLLABORATION_CAUSAL,		/* no answer before its question */
	COLLABORATION_TOTAL			/* all see everything in one order */
} Collaboration;

/* The answers */
typedef struct Situation
{
	bool		critical;		/* money or safety is at stake */
	StaleRead	stale_read;
	bool		exceeds_primary;	/* more reads than one primary serves */
	bool		distant;		/* readers are far from the primary */
	bool		own_writes;		/* users miss a write of their own */
	bool		backwards;		/* users notice that an older state returns */
	Collaboration collaboration;
	int			max_age_ms;		/* how old data may be; -1: not said */
} Situation;

typedef struct Recommendation
{
	ConsistencyLevel level;
	int			max_staleness_ms;	/* level bounded; otherwise -1 */
	bool		keeps_session;	/* level bounded: session's promise as well */
	PolicyKind	kind;			/* that a table's policy should have */
	List	   *reasons;		/* of char * */
} Recommendation;

extern Recommendation recommend_level(const Situation *situation);
extern const char *recommend_cost(ConsistencyLevel level);

#endif							/* CONSISTENCY_RECOMMEND_H */
