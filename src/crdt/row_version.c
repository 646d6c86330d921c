/*-------------------------------------------------------------------------
 *
 * row_version.c
 *	  Row version: merging, comparing and changing it in memory.
 *
 * What is read from a damaged state may be in no order, and dots beyond what was
 * seen; then results are as bad, but nothing is read or written out of bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/row_version.h"

/* Where a column's entry is among others, or would be. */
typedef struct NamePlace
{
	int			index;
	bool		found;
} NamePlace;

/* A list of values of one side, and what the other side has seen. */
typedef struct ValuesSide
{
	int			n;
	const KeptValue *values;
	const Vector *seen;
	const Vector *other;
} ValuesSide;

static void *allocate(int n, Size size);
static int	compare_columns(const ColumnStamp *a, const ColumnStamp *b);
static void merge_columns(RowVersion *out, const RowVersion *a, const RowVersion *b);
static void merge_values(RowVersion *out, const RowVersion *a, const RowVersion *b);
static ValuesSide side_of(const ColumnValues *column, const RowVersion *version, const RowVersion *other);
static ColumnValues merge_lists(CrdtReader name, const Vector *joined, const ValuesSide *a, const ValuesSide *b);
static KeptValue placed(const ValuesSide *side, int i, const Vector *joined);
static bool survives(const ValuesSide *side, const KeptValue *value);
static int	compare_values(const KeptValue *a, const KeptValue *b);
static NamePlace find_column(const RowVersion *version, CrdtReader name);
static NamePlace find_values(const RowVersion *version, CrdtReader name);
static void *with_room(const void *entries, int n, Size size, NamePlace place);
static void move_dots(RowVersion *version, int index);

/* There may be many in a damaged state, but no more than it has bytes for. */
static void *
allocate(int n, Size size)
{
	return palloc_extended((Size) Max(n, 1) * size, MCXT_ALLOC_HUGE);
}

/* --- merging ------------------------------------------------------------- */

/* The least upper bound of two versions; it points to what they point to. */
RowVersion
row_version_merge(const RowVersion *a, const RowVersion *b)
{
	RowVersion	out = {.length = a->length};

	if (a->length != b->length)
		return a->length > b->length ? *a : *b;
	out.seen = vector_join(&a->seen, &b->seen);
	if (a->deleted.n > 0 || b->deleted.n > 0)
		out.deleted = vector_join(&a->deleted, &b->deleted);
	out.row = write_stamp_compare(a->row, b->row) >= 0 ? a->row : b->row;
	if (a->ncolumns > 0 || b->ncolumns > 0)
		merge_columns(&out, a, b);
	if (a->nvalues > 0 || b->nvalues > 0)
		merge_values(&out, a, b);
	return out;
}

/* Of two entries of one column, > 0: the first one comes out of merging. */
static int
compare_columns(const ColumnStamp *a, const ColumnStamp *b)
{
	if (a->first != b->first)
		return a->first ? 1 : -1;
	return a->first ? write_stamp_compare(b->write, a->write) : write_stamp_compare(a->write, b->write);
}

/* Does the entry say more than the write of the row? */
bool
row_version_keeps(const RowVersion *version, const ColumnStamp *column)
{
	return column->first || write_stamp_compare(column->write, version->row) > 0;
}

/* The row's write is known already. */
static void
merge_columns(RowVersion *out, const RowVersion *a, const RowVersion *b)
{
	int			i = 0,
				j = 0;

	out->columns = allocate(a->ncolumns + b->ncolumns, sizeof(ColumnStamp));
	while (i < a->ncolumns || j < b->ncolumns)
	{
		int			order = i == a->ncolumns ? 1 : j == b->ncolumns ? -1 :
		crdt_compare_bytes(&a->columns[i].name, &b->columns[j].name);
		const ColumnStamp *larger = order <= 0 ? &a->columns[i] : &b->columns[j];

		if (order == 0 && compare_columns(&a->columns[i], &b->columns[j]) < 0)
			larger = &b->columns[j];
		if (row_version_keeps(out, larger))
			out->columns[out->ncolumns++] = *larger;
		i += order <= 0;
		j += order >= 0;
	}
}

/* What was seen is known already. */
static void
merge_values(RowVersion *out, const RowVersion *a, const RowVersion *b)
{
	int			i = 0,
				j = 0;

	out->values = allocate(a->nvalues + b->nvalues, sizeof(ColumnValues));
	while (i < a->nvalues || j < b->nvalues)
	{
		int			order = i == a->nvalues ? 1 : j == b->nvalues ? -1 :
		crdt_compare_bytes(&a->values[i].name, &b->values[j].name);
		ValuesSide	side_a = side_of(order <= 0 ? &a->values[i] : NULL, a, b);
		ValuesSide	side_b = side_of(order >= 0 ? &b->values[j] : NULL, b, a);
		ColumnValues merged = merge_lists(order <= 0 ? a->values[i].name : b->values[j].name,
										  &out->seen, &side_a, &side_b);

		if (merged.n > 0)
			out->values[out->nvalues++] = merged;
		else
			pfree(merged.values);
		i += order <= 0;
		j += order >= 0;
	}
}

/* A column may be NULL: then no values are left of it. */
static ValuesSide
side_of(const ColumnValues *column, const RowVersion *version, const RowVersion *other)
{
	ValuesSide	side = {0, NULL, &version->seen, &other->seen};

	if (column != NULL)
	{
		side.n = column->n;
		side.values = column->values;
	}
	return side;
}

/* The values that both sides have, or that one has and the other hasn't seen. */
static ColumnValues
merge_lists(CrdtReader name, const Vector *joined, const ValuesSide *a, const ValuesSide *b)
{
	ColumnValues out = {name, 0, allocate(a->n + b->n, sizeof(KeptValue))};
	int			i = 0,
				j = 0;

	while (i < a->n || j < b->n)
	{
		KeptValue	value_a = {{0}},
					value_b = {{0}};
		bool		takes_a,
					takes_b;

		if (i < a->n)
			value_a = placed(a, i, joined);
		if (j < b->n)
			value_b = placed(b, j, joined);
		takes_a = i < a->n && (j == b->n || value_a.dot.index <= value_b.dot.index);
		takes_b = j < b->n && (i == a->n || value_b.dot.index <= value_a.dot.index);
		if (takes_a && takes_b && value_a.dot.counter == value_b.dot.counter)
			out.values[out.n++] = compare_values(&value_a, &value_b) >= 0 ? value_a : value_b;
		else
		{
			if (takes_a && survives(a, &value_a))
				out.values[out.n++] = value_a;
			if (takes_b && survives(b, &value_b))
				out.values[out.n++] = value_b;
		}
		i += takes_a;
		j += takes_b;
	}
	return out;
}

/* A value with its dot where the vectors are joined. */
static KeptValue
placed(const ValuesSide *side, int i, const Vector *joined)
{
	KeptValue	value = side->values[i];

	if (joined->n != side->seen->n)
		value.dot.index = vector_find(joined, value.write.replica);
	if (value.dot.index < 0)
		crdt_corrupted("replica ids don't ascend");
	return value;
}

/* Is it new to the other side? */
static bool
survives(const ValuesSide *side, const KeptValue *value)
{
	int			index = vector_find(side->other, value->write.replica);

	return index < 0 || value->dot.counter > side->other->entries[index].count;
}

/* One dot has one value; if a clone has given it to two, this decides. */
static int
compare_values(const KeptValue *a, const KeptValue *b)
{
	if (a->write.stamp != b->write.stamp)
		return a->write.stamp > b->write.stamp ? 1 : -1;
	if (a->isnull != b->isnull)
		return a->isnull ? 1 : -1;
	return crdt_compare_bytes(&a->value, &b->value);
}

/* --- asking -------------------------------------------------------------- */

/* By length, then by what was seen. */
VersionOrder
row_version_order(const RowVersion *a, const RowVersion *b)
{
	bool		within,
				contains;

	if (a->length != b->length)
		return a->length < b->length ? VERSION_BEFORE : VERSION_AFTER;
	within = vector_within(&a->seen, &b->seen);
	contains = vector_within(&b->seen, &a->seen);
	if (within)
		return contains ? VERSION_EQUAL : VERSION_BEFORE;
	return contains ? VERSION_AFTER : VERSION_CONCURRENT;
}

/* Does the row exist? */
bool
row_version_lives(const RowVersion *version)
{
	return version->length % 2 == 1 &&
		(version->deleted.n == 0 || !vector_within(&version->seen, &version->deleted));
}

/* The highest stamp in the version; 0 if there is none. */
uint64
row_version_latest(const RowVersion *version)
{
	uint64		latest = version->row.stamp;

	for (int i = 0; i < version->ncolumns; i++)
		latest = Max(latest, version->columns[i].write.stamp);
	for (int i = 0; i < version->nvalues; i++)
	{
		for (int j = 0; j < version->values[i].n; j++)
			latest = Max(latest, version->values[i].values[j].write.stamp);
	}
	return latest;
}

/* Are they the same state? */
bool
row_version_equal(const RowVersion *a, const RowVersion *b)
{
	struct varlena *bytes_a = row_version_write(a);
	struct varlena *bytes_b = row_version_write(b);

	return VARSIZE(bytes_a) == VARSIZE(bytes_b) && memcmp(bytes_a, bytes_b, VARSIZE(bytes_a)) == 0;
}

/* Had who made the version seen the write, of the same length? */
bool
row_version_knows(const RowVersion *version, WriteStamp write)
{
	int			index = vector_find(&version->seen, write.replica);

	return write.event > 0 && index >= 0 && version->seen.entries[index].count >= write.event;
}

/*
 * Of different lengths, does the larger one end changes that it had not seen?
 * Known of a deletion and what it has deleted: that had been seen in its length.
 */
bool
row_version_discards(const RowVersion *winner, const RowVersion *loser)
{
	return winner->length == loser->length + 1 && winner->length % 2 == 0 &&
		!vector_within(&loser->seen, &winner->seen);
}

/* The entry of a column, NULL if there is none. */
const ColumnStamp *
row_version_find_column(const RowVersion *version, const char *name)
{
	NamePlace	place = find_column(version, row_version_text(name));

	return place.found ? &version->columns[place.index] : NULL;
}

/* The values of a column, NULL if there are none. */
const ColumnValues *
row_version_find_values(const RowVersion *version, const char *name)
{
	NamePlace	place = find_values(version, row_version_text(name));

	return place.found ? &version->values[place.index] : NULL;
}

/* The last write that counts for a column: its own, or the row's. */
WriteStamp
row_version_column(const RowVersion *version, const char *name)
{
	const ColumnStamp *column = row_version_find_column(version, name);

	if (column == NULL || column->first || !row_version_keeps(version, column))
		return version->row;
	return column->write;
}

static NamePlace
find_column(const RowVersion *version, CrdtReader name)
{
	NamePlace	place = {0};

	for (; place.index < version->ncolumns; place.index++)
	{
		int			order = crdt_compare_bytes(&version->columns[place.index].name, &name);

		place.found = order == 0;
		if (order >= 0)
			break;
	}
	return place;
}

static NamePlace
find_values(const RowVersion *version, CrdtReader name)
{
	NamePlace	place = {0};

	for (; place.index < version->nvalues; place.index++)
	{
		int			order = crdt_compare_bytes(&version->values[place.index].name, &name);

		place.found = order == 0;
		if (order >= 0)
			break;
	}
	return place;
}

/* --- changing ------------------------------------------------------------ */

/* The row comes or goes: a version that is above all of this length. */
RowVersion
row_version_next_length(const RowVersion *version)
{
	RowVersion	next = {.length = crdt_count_sum(version->length, 1)};

	return next;
}

/* Count one more change by a replica, and say which it is. */
Dot
row_version_event(RowVersion *version, uint64 replica)
{
	int			before = version->seen.n;
	Dot			dot;

	version->seen = vector_count_up(&version->seen, replica, &dot.index);
	dot.counter = version->seen.entries[dot.index].count;
	if (version->seen.n > before && version->nvalues > 0)
		move_dots(version, dot.index);
	return dot;
}

/* A replica has come into the vector at this place. */
static void
move_dots(RowVersion *version, int index)
{
	ColumnValues *columns = allocate(version->nvalues, sizeof(ColumnValues));

	for (int i = 0; i < version->nvalues; i++)
	{
		columns[i] = version->values[i];
		columns[i].values = allocate(columns[i].n, sizeof(KeptValue));
		for (int j = 0; j < columns[i].n; j++)
		{
			columns[i].values[j] = version->values[i].values[j];
			columns[i].values[j].dot.index += columns[i].values[j].dot.index >= index;
		}
	}
	version->values = columns;
}

/* A copy of entries with room for another one at the place, unless it was found. */
static void *
with_room(const void *entries, int n, Size size, NamePlace place)
{
	char	   *copy = allocate(n + 1, size);
	Size		before = place.index * size;
	Size		behind = n * size - before;

	if (before > 0)
		memcpy(copy, entries, before);
	if (behind > 0)
		memcpy(copy + before + (place.found ? 0 : size), (const char *) entries + before, behind);
	return copy;
}

/* Note a write of a column, in place of what is known of it; the name must last. */
void
row_version_set_column(RowVersion *version, const char *name, bool first, WriteStamp write)
{
	ColumnStamp column = {row_version_text(name), first, write};
	NamePlace	place = find_column(version, column.name);

	version->columns = with_room(version->columns, version->ncolumns, sizeof(ColumnStamp), place);
	version->columns[place.index] = column;
	version->ncolumns += !place.found;
}

/*
 * row_version_assign
 *		Give a column that keeps concurrent values one in place of all that are seen.
 *
 * The dot is that of the change of which this is a part, by write's replica.  The
 * name and the value (NULL for null) must last.
 */
void
row_version_assign(RowVersion *version, const char *name, Dot dot, WriteStamp write, const char *value)
{
	ColumnValues column = {row_version_text(name), 1, allocate(1, sizeof(KeptValue))};
	NamePlace	place = find_values(version, column.name);
	KeptValue	kept = {.dot = dot,.write = write,.isnull = value == NULL};

	Assert(version->seen.entries[dot.index].id == write.replica);
	if (value != NULL)
		kept.value = row_version_text(value);
	if (crdt_left(&kept.value) > CRDT_MAX_ELEMENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value of column \"%s\" would take more than %zu bytes", name, CRDT_MAX_ELEMENT),
				 errdetail("All values that were written concurrently are kept in the row's version.")));
	column.values[0] = kept;
	version->values = with_room(version->values, version->nvalues, sizeof(ColumnValues), place);
	version->values[place.index] = column;
	version->nvalues += !place.found;
}
