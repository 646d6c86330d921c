/*-------------------------------------------------------------------------
 *
 * replicated_change.h
 *	  Rows of an attached table, and tombstones, that come from elsewhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REPLICATED_CHANGE_H
#define CONSISTENCY_REPLICATED_CHANGE_H

#include "utils/jsonb.h"

#include "converge/table_rules.h"

/* What became of a row that came in */
typedef enum ReplicatedOutcome
{
	REPLICATED_INSERTED,
	REPLICATED_MERGED,
	REPLICATED_UNCHANGED,		/* nothing in it was new */
	REPLICATED_DELETED			/* a deletion that it hasn't seen wins */
} ReplicatedOutcome;

extern HeapTuple replicated_insert(Relation relation, TableRules *rules, HeapTuple incoming, ReplicatedOutcome *outcome);
extern HeapTuple replicated_update(Relation relation, TableRules *rules, HeapTuple local, HeapTuple incoming);
extern bool replicated_tombstone(const char *table, char **key, struct varlena **version, Jsonb **image);

#endif							/* CONSISTENCY_REPLICATED_CHANGE_H */
