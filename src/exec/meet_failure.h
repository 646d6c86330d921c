/*-------------------------------------------------------------------------
 *
 * meet_failure.h
 *	  What becomes of a read whose requirement can't be met.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MEET_FAILURE_H
#define CONSISTENCY_MEET_FAILURE_H

#include "requirement/requirement.h"

/* Why this server doesn't meet it */
typedef enum MeetFailure
{
	MEET_OK,					/* it does */
	MEET_REPLAY_BEHIND,			/* the position wasn't replayed in time */
	MEET_GIVEN_UP,				/* replay won't do it in time, and the primary
								 * may serve the read */
	MEET_NOT_FRESH,				/* it misses more than the bounds allow */
	MEET_NO_HEARTBEAT,			/* the primary didn't tell where it is */
	MEET_NO_QUORUM,				/* fewer nodes than demanded have told where
								 * they are, and agree */
	MEET_NOT_VISIBLE,			/* a commit that a standby may have shown
								 * isn't visible yet */
	MEET_NOT_CONFIRMED,			/* no synchronous standby answered the fence */
	MEET_NO_FENCE,				/* there are none, and the fence is demanded */
	MEET_NOT_PRIMARY,			/* this is a replica */
	MEET_DEPOSED				/* this primary was replaced */
} MeetFailure;

extern void meet_failure_fall_back(MeetFailure failure);
extern void meet_failure_raise(MeetFailure failure, const Requirement *requirement) pg_attribute_noreturn();
extern void meet_failure_handle(MeetFailure failure, const Declaration *declaration,
								const Requirement *requirement);

#endif							/* CONSISTENCY_MEET_FAILURE_H */
