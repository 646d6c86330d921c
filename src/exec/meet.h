/*-------------------------------------------------------------------------
 *
 * meet.h
 *	  Makes this server meet a requirement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MEET_H
#define CONSISTENCY_MEET_H

#include "utils/snapshot.h"
#include "utils/timestamp.h"

#include "requirement/requirement.h"

/* Why it can't */
typedef enum MeetFailure
{
	MEET_OK,					/* it does */
	MEET_REPLAY_BEHIND,			/* the position wasn't replayed in time */
	MEET_NOT_FRESH,				/* it misses more than the bounds allow */
	MEET_NO_HEARTBEAT,			/* the primary didn't tell where it is */
	MEET_NOT_VISIBLE,			/* a commit that a standby may have shown
								 * isn't visible yet */
	MEET_NOT_CONFIRMED,			/* no synchronous standby answered the fence */
	MEET_NO_FENCE,				/* there are none, and the fence is demanded */
	MEET_NOT_PRIMARY			/* this is a replica */
} MeetFailure;

extern MeetFailure meet_requirement(const Requirement *requirement, TimestampTz deadline);
extern MeetFailure meet_for_transaction(const Requirement *requirement, TimestampTz deadline);
extern MeetFailure meet_with_new_snapshot(const Requirement *requirement, TimestampTz deadline,
										  Snapshot *snapshot);
extern MeetFailure meet_with_fixed_snapshot(const Requirement *requirement, TimestampTz deadline,
											Snapshot snapshot);
extern void meet_error(MeetFailure failure, const Requirement *requirement) pg_attribute_noreturn();
extern const char *meet_failure_text(MeetFailure failure);

#endif							/* CONSISTENCY_MEET_H */
