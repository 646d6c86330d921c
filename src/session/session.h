/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What a session has written and seen.
 *
 * Reads and commits at this server need no check when the next read runs here
 * too: a server doesn't go back.  So the context keeps apart what happened
 * here and what was learned from elsewhere; the first matters only for reads
 * that leave and for the token, the second must be enforced here as well.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_SESSION_H
#define CONSISTENCY_SESSION_H

#include "core/position.h"
#include "session/token.h"

typedef struct SessionContext
{
	Position	written;		/* end of the last own commit at this server */
	Position	observed;		/* the highest that own reads at this server
								 * can have seen */
	Position	elsewhere;		/* the highest of tokens handed in and of
								 * answers from other nodes; a replica may
								 * have shown it before we do */
	bool		elsewhere_holds_here;	/* this server is known to show all of
										 * elsewhere */
	Position	older;			/* learned from elsewhere as well, of an older
								 * timeline than "elsewhere": a failover may
								 * have lost it; none once that was found not
								 * to be */
} SessionContext;

/* The highest position that the session has written or seen anywhere. */
static inline Position
session_context_position(const SessionContext *context)
{
	return position_max(context->elsewhere,
						position_max(context->written, context->observed));
}

extern void session_init(void);

extern const SessionContext *session_context(void);

extern void session_observed_here(void);
extern void session_observed_elsewhere(Token token);
extern void session_elsewhere_holds_here(Position position, Position older);
extern void session_wrote_without_xid(void);
extern void session_reset(void);

#endif							/* CONSISTENCY_SESSION_H */
