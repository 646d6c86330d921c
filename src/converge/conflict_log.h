/*-------------------------------------------------------------------------
 *
 * conflict_log.h
 *	  The newest conflicts, with what was kept and what was discarded:
 *	  consistency.conflicts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_CONFLICT_LOG_H
#define CONSISTENCY_CONVERGE_CONFLICT_LOG_H

#include "converge/conflict.h"

extern void conflict_log_init(void);
extern void conflict_log_conflict(Relation relation, const Conflict *conflict);
extern void conflict_log_skipped(Oid relation, uint64 count);

#endif							/* CONSISTENCY_CONVERGE_CONFLICT_LOG_H */
