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

#include "exec/meet_failure.h"
#include "exec/replay_wait.h"
#include "requirement/requirement.h"

extern MeetFailure meet_requirement(Requirement *requirement, TimestampTz deadline);
extern MeetFailure meet_for_transaction(Requirement *requirement, TimestampTz deadline);
extern MeetFailure meet_with_new_snapshot(Requirement *requirement, TimestampTz deadline,
										  Snapshot *snapshot);
extern MeetFailure meet_with_fixed_snapshot(Requirement *requirement, TimestampTz deadline,
											Snapshot snapshot);
extern MeetFailure meet_quorum_position(const Requirement *requirement, const ReplayGoal *goal,
										TimestampTz until);
extern void meet_check_history(const Requirement *requirement);
extern bool meet_is_pending(const Requirement *requirement);
extern bool meet_snapshot_is_fixed(void);

#endif							/* CONSISTENCY_MEET_H */
