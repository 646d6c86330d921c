/*-------------------------------------------------------------------------
 *
 * row_merge.c
 *	  Two versions of a row become one.
 *
 * Each rule is a join: whatever the order in which the members see the versions
 * of a row, and how often, all come to the same.  The versions say which write was
 * last; where they say nothing, as of rows that were there before their table was
 * attached, or say the same of different values, as a clone may, the text of the
 * values decides, the same everywhere.
 *
 * Of a row that was deleted and inserted again only what was written since the
 * insertion counts: the version with the larger causal length takes all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "converge/merge_function.h"
#include "converge/row_merge.h"
#include "converge/row_text.h"
#include "crdt/crdt.h"

/* What is being merged */
typedef struct Merging
{
	Relation	relation;
	TableRules *rules;
	const RowImage *local;
	const RowImage *incoming;
	RowImage   *merged;
	ConflictKind kind;
	bool		concurrent;		/* neither has seen the other */
	int			row_side;		/* whose row was written last: > 0 local */
} Merging;

static bool take_whole(Merging *merging);
static void merge_columns(Merging *merging);
static void merge_column(Merging *merging, ColumnRule *column);
static void take(Merging *merging, ColumnRule *column, int side);
static void take_last(Merging *merging, ColumnRule *column);
static void take_first(Merging *merging, ColumnRule *column);
static void take_several(Merging *merging, ColumnRule *column);
static int	side_of_row(Merging *merging);
static const WriteStamp *first_write(const RowVersion *version, const char *name);
static int	compare_values(ColumnRule *column, const RowImage *a, const RowImage *b);
static int	compare_by_order(ColumnRule *column, const RowImage *a, const RowImage *b);
static Datum join_crdt(Datum a, Datum b, bool *isnull);
static Datum parse_kept(ColumnRule *column, const KeptValue *value);
static const KeptValue *shown(const ColumnValues *values);
static void note(Merging *merging, const ColumnRule *column, ConflictResolution resolution);
static void note_discarded(Merging *merging, ColumnRule *column, int side, WriteStamp loser);
static bool is_changed(Merging *merging);

/* --- images -------------------------------------------------------------- */

/* A tuple, taken apart. */
RowImage
row_image(TableRules *rules, TupleDesc desc, HeapTuple tuple)
{
	RowImage	row = row_image_empty(rules);

	row.tuple = tuple;
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	if (!row.nulls[rules->version - 1])
		row.version = row_version_read((struct varlena *) DatumGetPointer(row.values[rules->version - 1]));
	return row;
}

/* All columns null. */
RowImage
row_image_empty(TableRules *rules)
{
	RowImage	row = {0};

	row.values = palloc0(sizeof(Datum) * rules->ncolumns);
	row.nulls = palloc(sizeof(bool) * rules->ncolumns);
	memset(row.nulls, true, sizeof(bool) * rules->ncolumns);
	row.version.length = 1;
	return row;
}

/* The tuple of a row, its version included. */
HeapTuple
row_image_tuple(TableRules *rules, TupleDesc desc, RowImage *row)
{
	HeapTuple	tuple;

	row->values[rules->version - 1] = PointerGetDatum(row_version_write(&row->version));
	row->nulls[rules->version - 1] = false;
	tuple = heap_form_tuple(desc, row->values, row->nulls);
	if (row->tuple != NULL)
	{
		tuple->t_self = row->tuple->t_self;
		tuple->t_tableOid = row->tuple->t_tableOid;
	}
	return tuple;
}

/* Has the column the same value in both, byte by byte? */
bool
row_same_value(const ColumnRule *column, const RowImage *a, const RowImage *b)
{
	int			i = column->number - 1;

	if (a->nulls[i] || b->nulls[i])
		return a->nulls[i] == b->nulls[i];
	return datum_image_eq(a->values[i], b->values[i], column->byval, column->length);
}

/* Is the value a long one that the row only points to? */
bool
row_is_stored_elsewhere(const ColumnRule *column, const RowImage *row)
{
	int			i = column->number - 1;

	return column->length == -1 && !row->nulls[i] && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(row->values[i]));
}

/* --- merging ------------------------------------------------------------- */

/*
 * row_merge
 *		Merge what came in into what is here.
 *
 * What is lost by that, or isn't though it was written concurrently, is noted as
 * a conflict of this kind.  Returns whether the result differs from what is here.
 */
bool
row_merge(Relation relation, TableRules *rules, const RowImage *local, const RowImage *incoming,
		  ConflictKind kind, RowImage *merged)
{
	Merging		merging = {
		.relation = relation,
		.rules = rules,
		.local = local,
		.incoming = incoming,
		.merged = merged,
		.kind = kind,
	};

	merging.concurrent = row_version_order(&local->version, &incoming->version) == VERSION_CONCURRENT;
	*merged = row_image_empty(rules);
	merged->tuple = local->tuple;
	if (take_whole(&merging))
		return merged->version.length != local->version.length;
	merged->version = row_version_merge(&local->version, &incoming->version);
	merge_columns(&merging);
	return is_changed(&merging);
}

/* Of different causal lengths, the larger one takes all. */
static bool
take_whole(Merging *merging)
{
	const RowImage *winner = merging->local;
	const RowImage *loser = merging->incoming;
	int			ncolumns = merging->rules->ncolumns;

	if (winner->version.length == loser->version.length)
		return false;
	if (winner->version.length < loser->version.length)
	{
		winner = merging->incoming;
		loser = merging->local;
	}
	memcpy(merging->merged->values, winner->values, sizeof(Datum) * ncolumns);
	memcpy(merging->merged->nulls, winner->nulls, sizeof(bool) * ncolumns);
	merging->merged->version = winner->version;
	if (row_version_discards(&winner->version, &loser->version))
	{
		merging->kind = CONFLICT_UPDATE_DELETE;
		note(merging, NULL, winner == merging->local ? RESOLUTION_KEPT_LOCAL : RESOLUTION_TOOK_INCOMING);
	}
	return true;
}

static void
merge_columns(Merging *merging)
{
	TableRules *rules = merging->rules;

	if (!rules->by_column)
		merging->row_side = side_of_row(merging);
	for (int i = 0; i < rules->ncolumns; i++)
		merge_column(merging, &rules->columns[i]);
}

static void
merge_column(Merging *merging, ColumnRule *column)
{
	const RowImage *local = merging->local;
	const RowImage *incoming = merging->incoming;
	int			i = column->number - 1;

	switch (column->rule)
	{
		case RULE_NOTHING:
		case RULE_VERSION:
		case RULE_KEY:
			take(merging, column, 1);
			break;
		case RULE_LAST_OF_ROW:
			take(merging, column, merging->row_side);
			break;
		case RULE_LAST:
			take_last(merging, column);
			break;
		case RULE_FIRST:
			take_first(merging, column);
			break;
		case RULE_MULTI_VALUE:
			take_several(merging, column);
			break;
		case RULE_CRDT:
		case RULE_HIGHEST:
		case RULE_LOWEST:
		case RULE_FUNCTION:
			merging->merged->values[i] =
				row_column_join(column, merging->relation, local, incoming, &merging->merged->nulls[i]);
			if (merging->concurrent && !row_same_value(column, local, incoming))
				note(merging, column, RESOLUTION_MERGED);
			break;
	}
}

/*
 * Merge a column of which the values know by themselves what comes of them.
 */
Datum
row_column_join(ColumnRule *column, Relation relation, const RowImage *a, const RowImage *b, bool *isnull)
{
	int			i = column->number - 1;
	const RowImage *chosen = a;

	/* Null is below all. */
	if (row_same_value(column, a, b) || b->nulls[i])
		chosen = a;
	else if (a->nulls[i])
		chosen = b;
	else if (column->rule == RULE_CRDT)
		return join_crdt(a->values[i], b->values[i], isnull);
	else if (column->rule == RULE_FUNCTION)
		return merge_function_call(relation, column, a, b, isnull);
	else if ((compare_by_order(column, a, b) < 0) == (column->rule == RULE_HIGHEST))
		chosen = b;
	*isnull = chosen->nulls[i];
	return chosen->values[i];
}

static Datum
join_crdt(Datum a, Datum b, bool *isnull)
{
	CrdtState	state_a = crdt_state(PG_DETOAST_DATUM_PACKED(a), CRDT_ANY);
	CrdtState	state_b = crdt_state(PG_DETOAST_DATUM_PACKED(b), state_a.type);

	*isnull = false;
	return PointerGetDatum(crdt_merge_states(&state_a, &state_b));
}

/* From the local row (side > 0), or the incoming one. */
static void
take(Merging *merging, ColumnRule *column, int side)
{
	const RowImage *from = side > 0 ? merging->local : merging->incoming;
	int			i = column->number - 1;

	merging->merged->values[i] = from->values[i];
	merging->merged->nulls[i] = from->nulls[i];
}

/* --- last and first writers ---------------------------------------------- */

/*
 * Which row was written last: > 0 the local one.  All columns that go by this come
 * from one row, so that they fit together.
 */
static int
side_of_row(Merging *merging)
{
	TableRules *rules = merging->rules;
	WriteStamp	local = merging->local->version.row;
	WriteStamp	incoming = merging->incoming->version.row;
	int			side = write_stamp_compare(local, incoming);
	bool		differ = false;

	for (int i = 0; i < rules->ncolumns && !(differ && side != 0); i++)
	{
		ColumnRule *column = &rules->columns[rules->by_name[i]];

		if (column->rule != RULE_LAST_OF_ROW || row_same_value(column, merging->local, merging->incoming))
			continue;
		differ = true;
		if (side == 0)
			side = compare_values(column, merging->local, merging->incoming);
	}
	if (differ)
		note_discarded(merging, NULL, side, side > 0 ? incoming : local);
	return side == 0 ? 1 : side;
}

static void
take_last(Merging *merging, ColumnRule *column)
{
	WriteStamp	local = row_version_column(&merging->local->version, column->name);
	WriteStamp	incoming = row_version_column(&merging->incoming->version, column->name);
	int			side = write_stamp_compare(local, incoming);

	if (row_same_value(column, merging->local, merging->incoming))
		side = 1;
	else
	{
		if (side == 0)
			side = compare_values(column, merging->local, merging->incoming);
		note_discarded(merging, column, side, side > 0 ? incoming : local);
	}
	take(merging, column, side);
}

/* The first value that was set; one that was there before the table was attached counts as never set. */
static void
take_first(Merging *merging, ColumnRule *column)
{
	const WriteStamp *local = first_write(&merging->local->version, column->name);
	const WriteStamp *incoming = first_write(&merging->incoming->version, column->name);
	int			side;

	if (local != NULL && incoming != NULL)
		side = -write_stamp_compare(*local, *incoming);
	else
		side = (local != NULL) - (incoming != NULL);
	if (side == 0)
		side = compare_values(column, merging->local, merging->incoming);
	if (local != NULL && incoming != NULL && !row_same_value(column, merging->local, merging->incoming))
		note_discarded(merging, column, side, side > 0 ? *incoming : *local);
	take(merging, column, side == 0 ? 1 : side);
}

/* When the column was first set; NULL if it wasn't. */
static const WriteStamp *
first_write(const RowVersion *version, const char *name)
{
	const ColumnStamp *column = row_version_find_column(version, name);

	return column == NULL || !column->first ? NULL : &column->write;
}

/* An order of values that is the same everywhere; null comes first. */
static int
compare_values(ColumnRule *column, const RowImage *a, const RowImage *b)
{
	int			i = column->number - 1;

	if (a->nulls[i] || b->nulls[i])
		return (int) b->nulls[i] - (int) a->nulls[i];
	return strcmp(row_text_value(column, a->values[i]), row_text_value(column, b->values[i]));
}

/* The order of the type; of what is equal by that and isn't the same, as 1.0 and 1.00, that of the text. */
static int
compare_by_order(ColumnRule *column, const RowImage *a, const RowImage *b)
{
	int			i = column->number - 1;
	int			order = DatumGetInt32(FunctionCall2Coll(&column->compare, column->collation, a->values[i], b->values[i]));

	return order != 0 ? order : compare_values(column, a, b);
}

/* --- several values ------------------------------------------------------ */

/* Of the values that are left, the one that was written last is shown. */
static void
take_several(Merging *merging, ColumnRule *column)
{
	const ColumnValues *values = row_version_find_values(&merging->merged->version, column->name);
	const ColumnValues *before = row_version_find_values(&merging->local->version, column->name);
	const KeptValue *winner;
	int			i = column->number - 1;

	if (values == NULL)
	{
		int			side = compare_values(column, merging->local, merging->incoming);

		take(merging, column, side == 0 ? 1 : side);
		return;
	}
	winner = shown(values);
	merging->merged->nulls[i] = winner->isnull;
	if (!winner->isnull)
		merging->merged->values[i] = parse_kept(column, winner);
	if (values->n > 1 && (before == NULL || values->n > before->n))
		note(merging, column, RESOLUTION_KEPT_BOTH);
}

/* Of a row that somebody has made: each of the values must be one, and the last one is shown. */
void
row_merge_show_values(TableRules *rules, RowImage *row)
{
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];
		const ColumnValues *values = column->rule == RULE_MULTI_VALUE ? row_version_find_values(&row->version, column->name) : NULL;

		if (values == NULL)
			continue;
		for (int j = 0; j < values->n; j++)
		{
			const KeptValue *value = &values->values[j];
			Datum		parsed = value->isnull ? (Datum) 0 : parse_kept(column, value);

			if (value != shown(values))
				continue;
			row->nulls[i] = value->isnull;
			row->values[i] = parsed;
		}
	}
}

static Datum
parse_kept(ColumnRule *column, const KeptValue *value)
{
	return row_text_parse(column, pnstrdup((const char *) value->value.at, crdt_left(&value->value)));
}

static const KeptValue *
shown(const ColumnValues *values)
{
	const KeptValue *last = &values->values[0];

	for (int i = 1; i < values->n; i++)
	{
		if (write_stamp_compare(values->values[i].write, last->write) > 0)
			last = &values->values[i];
	}
	return last;
}

/* --- what is told of it -------------------------------------------------- */

static void
note(Merging *merging, const ColumnRule *column, ConflictResolution resolution)
{
	Conflict	conflict = {
		.kind = merging->kind,
		.resolution = resolution,
		.column = column == NULL ? InvalidAttrNumber : column->number,
		.local = merging->local->tuple,
		.incoming = merging->incoming->tuple,
		.local_version = &merging->local->version,
		.incoming_version = &merging->incoming->version,
	};

	conflict_note(merging->relation, &conflict);
}

/* A value went lost, unless who wrote the one that is kept had seen it. */
static void
note_discarded(Merging *merging, ColumnRule *column, int side, WriteStamp loser)
{
	const RowImage *winner = side > 0 ? merging->local : merging->incoming;

	if (loser.stamp != 0 && row_version_knows(&winner->version, loser))
		return;
	note(merging, column, side > 0 ? RESOLUTION_KEPT_LOCAL : RESOLUTION_TOOK_INCOMING);
}

static bool
is_changed(Merging *merging)
{
	TableRules *rules = merging->rules;

	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];

		if (column->rule != RULE_NOTHING && column->rule != RULE_VERSION &&
			!row_same_value(column, merging->merged, merging->local))
			return true;
	}
	return !row_version_equal(&merging->merged->version, &merging->local->version);
}
