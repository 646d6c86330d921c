/*-------------------------------------------------------------------------
 *
 * quorum_read.h
 *	  Asks a quorum of nodes how far they are, ahead of a read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_QUORUM_READ_H
#define CONSISTENCY_QUORUM_READ_H

#include "utils/timestamp.h"

#include "exec/meet_failure.h"
#include "requirement/requirement.h"

extern MeetFailure quorum_read_gather(Requirement *requirement, TimestampTz deadline);
extern MeetFailure quorum_read_meet(Requirement *requirement, TimestampTz deadline);

#endif							/* CONSISTENCY_QUORUM_READ_H */
