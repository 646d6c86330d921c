/*-------------------------------------------------------------------------
 *
 * ahead.h
 *	  Waits ahead of a statement, while no snapshot is held.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_AHEAD_H
#define CONSISTENCY_AHEAD_H

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "requirement/requirement.h"

/* What was done ahead of the statement that starts next */
typedef struct AheadWait
{
	int64		waited_us;		/* time spent, microseconds */
	bool		in_vain;		/* its requirement couldn't be met in time */
	bool		leader_confirmed;	/* this server was the primary */
	ReadQuorum	read_quorum;	/* what nodes have told, if they were asked */
} AheadWait;

extern void ahead_of_utility(const char *text, int location, int length, bool may_leave);
extern void ahead_of_copy(const char *text, int location, int length, Oid relation);
extern void ahead_of_first_snapshot(void);
extern void ahead_after_import(void);
extern void ahead_forget(void);
extern AheadWait ahead_take(void);
extern TimestampTz ahead_deadline(const Requirement *requirement, int timeout_ms);
extern bool ahead_is_wait_for(Oid procedure);

#endif							/* CONSISTENCY_AHEAD_H */
