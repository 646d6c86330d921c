/*-------------------------------------------------------------------------
 *
 * forward_release.h
 *	  Gives back what this replica holds for a statement while the primary works.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_RELEASE_H
#define CONSISTENCY_FORWARD_RELEASE_H

#include "executor/execdesc.h"

/* What was given back */
typedef struct ForwardRelease
{
	bool		active;			/* the active snapshot */
	bool		hold;			/* the portal's, for its result */
} ForwardRelease;

extern ForwardRelease forward_release_query(QueryDesc *queryDesc);
extern void forward_retake_query(QueryDesc *queryDesc, ForwardRelease given);
extern void forward_release_portal(void);
extern bool forward_release_commit(void);

#endif							/* CONSISTENCY_FORWARD_RELEASE_H */
