/*-------------------------------------------------------------------------
 *
 * heap_range.h
 *	  The rows of a range of blocks, as one snapshot shows them, in digests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_HEAP_RANGE_H
#define CONSISTENCY_HEAP_RANGE_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "verify/descent.h"

/* One row */
typedef struct HeapRow
{
	ItemPointerData place;
	char	   *key;			/* a condition that finds it */
	uint64		digest;
	int			ncolumns;
	uint64	   *columns;		/* their digests; 0: dropped */
} HeapRow;

extern void heap_range_digests(Relation relation, Snapshot snapshot, DescentRange blocks,
							   int parts, RangeDigest *digests);
extern List *heap_range_rows(Relation relation, Snapshot snapshot, BlockNumber block);

#endif							/* CONSISTENCY_HEAP_RANGE_H */
