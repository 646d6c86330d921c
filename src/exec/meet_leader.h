/*-------------------------------------------------------------------------
 *
 * meet_leader.h
 *	  What only a primary has to make sure of: that it still is one, and that its
 *	  history is the session's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MEET_LEADER_H
#define CONSISTENCY_MEET_LEADER_H

#include "exec/meet_failure.h"

extern MeetFailure meet_leader(const Requirement *requirement, TimestampTz deadline);
extern bool meet_is_deposed(const Requirement *requirement);
extern void meet_check_timeline(Position position);
extern void meet_error_lost(Position position, TimeLineID tli) pg_attribute_noreturn();

#endif							/* CONSISTENCY_MEET_LEADER_H */
