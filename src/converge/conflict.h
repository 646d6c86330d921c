/*-------------------------------------------------------------------------
 *
 * conflict.h
 *	  Changes of a row that different nodes have made concurrently: what the
 *	  merging reports.
 *
 * Only what was really concurrent is a conflict: changes of which neither had
 * seen the other one, or two with the same stamp and different values.  It is
 * reported where it is merged, by the apply worker or merge_row(), in that
 * transaction, also if nothing changes here; a change that comes back is none.
 *
 * What is reported is counted (conflict_counters.h), and written down if
 * consistency.conflict_log asks for that (conflict_log.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_CONFLICT_H
#define CONSISTENCY_CONVERGE_CONFLICT_H

#include "access/htup.h"
#include "utils/relcache.h"

struct RowVersion;

/* In kept memory: new ones go to the end. */
typedef enum ConflictKind
{
	CONFLICT_INSERT_INSERT,		/* of one key */
	CONFLICT_UPDATE_UPDATE,
	CONFLICT_UPDATE_DELETE,		/* an incoming row or update meets a tombstone */
	CONFLICT_DELETE_UPDATE,		/* an incoming tombstone meets a row that was
								 * changed concurrently */
	CONFLICT_OWN_ENTRY,			/* an incoming version knows more of our own
								 * changes than we do */
	CONFLICT_MERGE_FUNCTION,	/* a merge function of the user's failed */
	CONFLICT_FAR_STAMP,			/* a stamp too far ahead of our time */
	CONFLICT_UPDATE_MISSING,	/* an incoming update was skipped: its row
								 * wasn't found (skipped_updates.h) */
	NUM_CONFLICT_KINDS
} ConflictKind;

/* In kept memory, too. */
typedef enum ConflictResolution
{
	RESOLUTION_MERGED,			/* nothing is lost */
	RESOLUTION_KEPT_LOCAL,		/* the incoming value was discarded */
	RESOLUTION_TOOK_INCOMING,	/* the local value was discarded */
	RESOLUTION_KEPT_BOTH,		/* multi-value: until somebody decides */
	RESOLUTION_ROW_DELETED,		/* the concurrent change is discarded */
	RESOLUTION_ROW_KEPT,		/* the concurrent deletion is */
	NUM_CONFLICT_RESOLUTIONS
} ConflictResolution;

typedef struct Conflict
{
	ConflictKind kind;
	ConflictResolution resolution;
	AttrNumber	column;			/* 0: the row as a whole */
	HeapTuple	local;			/* NULL if there is none */
	HeapTuple	incoming;		/* NULL if there is none */
	const struct RowVersion *local_version; /* NULL if there is none */
	const struct RowVersion *incoming_version;	/* NULL if there is none */
} Conflict;

extern void conflict_note(Relation relation, const Conflict *conflict);

extern const char *conflict_kind_name(ConflictKind kind);
extern const char *conflict_resolution_name(ConflictResolution resolution);
extern bool conflict_discards(ConflictResolution resolution);

#endif							/* CONSISTENCY_CONVERGE_CONFLICT_H */
