/*-------------------------------------------------------------------------
 *
 * conflict_counters.h
 *	  Conflicts, counted by table, column, kind and resolution:
 *	  consistency.stat_conflicts.
 *
 * They outlive crashes and restarts (kept.h).  Counted is what was merged, so a
 * transaction that applies changes and fails counts as often as it is tried.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_CONFLICT_COUNTERS_H
#define CONSISTENCY_CONVERGE_CONFLICT_COUNTERS_H

#include "access/attnum.h"

#include "converge/conflict.h"

extern void conflict_counters_init(void);
extern void conflict_counters_count(Oid relation, AttrNumber column, ConflictKind kind,
									ConflictResolution resolution);

/* updates that apply skipped, and that no comparison of all nodes has looked for yet */
extern uint64 conflict_counters_skipped(Oid relation);
extern void conflict_counters_compared(Oid relation, uint64 skipped);

#endif							/* CONSISTENCY_CONVERGE_CONFLICT_COUNTERS_H */
