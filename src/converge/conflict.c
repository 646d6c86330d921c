/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  Changes of a row that different nodes have made concurrently: what the
 *	  merging reports.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/rel.h"

#include "converge/conflict.h"
#include "converge/conflict_counters.h"
#include "converge/conflict_log.h"

static const char *const kind_names[] = {
	[CONFLICT_INSERT_INSERT] = "insert_insert",
	[CONFLICT_UPDATE_UPDATE] = "update_update",
	[CONFLICT_UPDATE_DELETE] = "update_delete",
	[CONFLICT_DELETE_UPDATE] = "delete_update",
	[CONFLICT_OWN_ENTRY] = "own_entry",
	[CONFLICT_MERGE_FUNCTION] = "merge_function",
	[CONFLICT_FAR_STAMP] = "far_stamp",
	[CONFLICT_UPDATE_MISSING] = "update_missing"
};

static const char *const resolution_names[] = {
	[RESOLUTION_MERGED] = "merged",
	[RESOLUTION_KEPT_LOCAL] = "kept_local",
	[RESOLUTION_TOOK_INCOMING] = "took_incoming",
	[RESOLUTION_KEPT_BOTH] = "kept_both",
	[RESOLUTION_ROW_DELETED] = "row_deleted",
	[RESOLUTION_ROW_KEPT] = "row_kept"
};

StaticAssertDecl(lengthof(kind_names) == NUM_CONFLICT_KINDS, "each kind has a name");
StaticAssertDecl(lengthof(resolution_names) == NUM_CONFLICT_RESOLUTIONS, "each resolution has a name");

/*
 * conflict_note
 *		Concurrent changes of a row of this table were merged, in this way.
 *
 * Never fails for reasons of its own: apply has to go on.
 */
void
conflict_note(Relation relation, const Conflict *conflict)
{
	conflict_counters_count(RelationGetRelid(relation), conflict->column, conflict->kind, conflict->resolution);
	conflict_log_conflict(relation, conflict);
}

const char *
conflict_kind_name(ConflictKind kind)
{
	return kind_names[kind];
}

const char *
conflict_resolution_name(ConflictResolution resolution)
{
	return resolution_names[resolution];
}

/* Has somebody's write gone? */
bool
conflict_discards(ConflictResolution resolution)
{
	switch (resolution)
	{
		case RESOLUTION_KEPT_LOCAL:
		case RESOLUTION_TOOK_INCOMING:
		case RESOLUTION_ROW_DELETED:
			return true;
		default:
			return false;
	}
}
