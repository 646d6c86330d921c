/*-------------------------------------------------------------------------
 *
 * requirement.h
 *	  What a promise demands of the node that runs a read.
 *
 * Pure: declaration and context in, requirement out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REQUIREMENT_H
#define CONSISTENCY_REQUIREMENT_H

#include "core/position.h"
#include "session/declaration.h"
#include "session/session.h"

typedef struct Requirement
{
	bool		leader;			/* only the primary may serve it */
	bool		any_health;		/* a node whose health is unknown will do */
	bool		prefix;			/* the snapshot must be a prefix of the log */
	Position	position;		/* what other nodes must show; none: anything
								 * goes */
	Position	position_here;	/* what this server must show and perhaps
								 * doesn't; none: nothing. At a primary: its
								 * snapshot must be behind the barrier. */
	Position	older_here;		/* the same, of an older timeline; none:
								 * nothing */
	ReadQuorum	read_quorum;	/* nodes to be asked, whose highest answer the
								 * read must show */
	int			max_staleness_ms;	/* what it may miss must be younger; -1:
									 * no bound */
	int			max_lag;		/* bytes of WAL that it may miss; -1: no bound */
	bool		may_give_up;	/* the primary may serve it as well, so that a
								 * replica needn't wait if that is hopeless */
} Requirement;

/* Is there a bound on what the read may miss? */
static inline bool
requirement_has_bounds(const Requirement *requirement)
{
	return requirement->max_staleness_ms >= 0 || requirement->max_lag >= 0;
}

extern Requirement requirement_of(const Declaration *declaration, const SessionContext *context);
extern void requirement_add_quorum(Requirement *requirement);
extern bool requirement_covers(const Requirement *requirement, const Requirement *other);
extern bool requirement_is_pending(const Requirement *requirement, bool at_replica);

/* in words for people; buf holds REQUIREMENT_TEXT_SIZE bytes */
#define REQUIREMENT_TEXT_SIZE 224

extern char *requirement_text(const Requirement *requirement, char *buf);

#endif							/* CONSISTENCY_REQUIREMENT_H */
