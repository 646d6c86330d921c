/*-------------------------------------------------------------------------
 *
 * row_version_functions.c
 *	  Row version: the type, and what SQL can ask of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "crdt/crdt.h"
#include "crdt/row_version.h"

static void merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void free_version(const RowVersion *version);

PG_FUNCTION_INFO_V1(row_version_stamp);
PG_FUNCTION_INFO_V1(row_version_replica);
PG_FUNCTION_INFO_V1(row_version_is_alive);
PG_FUNCTION_INFO_V1(row_version_conflicts);

/* No reset: it has no place in a map. */
const CrdtRoutine row_version_routine = {
	.name = "row_version",
	.check = row_version_check_body,
	.merge = merge,
	.to_json = row_version_to_json,
	.from_json = row_version_from_json,
	.value = row_version_value_to_json,
};

/* Who merges many may do so in one context, so nothing is left behind. */
static void
merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	RowVersion	version_a = row_version_read_body(a);
	RowVersion	version_b = row_version_read_body(b);
	RowVersion	merged = row_version_merge(&version_a, &version_b);

	row_version_write_body(out, &merged);
	/* else it is one of the two */
	if (version_a.length == version_b.length)
		free_version(&merged);
	free_version(&version_a);
	free_version(&version_b);
}

static void
free_version(const RowVersion *version)
{
	pfree(version->seen.entries);
	if (version->deleted.entries)
		pfree(version->deleted.entries);
	if (version->columns)
		pfree(version->columns);
	for (int i = 0; i < version->nvalues; i++)
		pfree(version->values[i].values);
	if (version->values)
		pfree(version->values);
}

/* stamp(row_version): NULL if the row as a whole was never written */
Datum
row_version_stamp(PG_FUNCTION_ARGS)
{
	RowVersion	version = row_version_read_body(CRDT_GETARG(0, CRDT_ROW_VERSION).body);

	if (version.row.stamp == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) version.row.stamp);
}

/* replica(row_version): who wrote the row as a whole last, NULL if no one did */
Datum
row_version_replica(PG_FUNCTION_ARGS)
{
	RowVersion	version = row_version_read_body(CRDT_GETARG(0, CRDT_ROW_VERSION).body);

	if (version.row.stamp == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%" INT64_MODIFIER "x", version.row.replica)));
}

/* lives(row_version): does the row exist? */
Datum
row_version_is_alive(PG_FUNCTION_ARGS)
{
	RowVersion	version = row_version_read_body(CRDT_GETARG(0, CRDT_ROW_VERSION).body);

	PG_RETURN_BOOL(row_version_lives(&version));
}

/* conflicts(row_version): the columns that have several values */
Datum
row_version_conflicts(PG_FUNCTION_ARGS)
{
	RowVersion	version = row_version_read_body(CRDT_GETARG(0, CRDT_ROW_VERSION).body);
	Datum	   *names = palloc_extended(Max(version.nvalues, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	int			n = 0;

	for (int i = 0; i < version.nvalues; i++)
	{
		const ColumnValues *column = &version.values[i];

		if (row_version_has_conflict(column))
			names[n++] = PointerGetDatum(cstring_to_text_with_len((const char *) column->name.at,
																  crdt_left(&column->name)));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}
