/*-------------------------------------------------------------------------
 *
 * row_version_bytes.c
 *	  Row version: its bytes, which are kept small as each row has them.
 *
 * Body: a byte that says which parts there are (RowVersionParts), then
 *
 *		length		a number > 1; 1 if it isn't there
 *		seen		a vector, always there
 *		deleted		a vector
 *		row			a write: the stamp, and who: the index in seen + 1, or 0 and the
 *					id of a replica that isn't in seen; which of its changes, or 0
 *		columns		their number, then each: name, 1 if it is the first write or else
 *					0, write
 *		values		the number of columns, then each: name, number of values, then
 *					each: dot, stamp, length + 1 (0: null), text
 *
 * Parts that are empty aren't there.  Names ascend by their bytes, a name is its
 * length and its bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/row_version.h"

/* On disk: never renumber. */
typedef enum RowVersionParts
{
	PART_LENGTH = 1,
	PART_DELETED = 2,
	PART_ROW = 4,
	PART_COLUMNS = 8,
	PART_VALUES = 16
} RowVersionParts;

#define ALL_PARTS (PART_LENGTH | PART_DELETED | PART_ROW | PART_COLUMNS | PART_VALUES)

/* the most that a write takes */
#define WRITE_MAX_SIZE (3 * CRDT_VARINT_SIZE + CRDT_ID_SIZE)

/* the fewest bytes of a column's write, of a column's values, of a value */
#define COLUMN_SIZE 5
#define VALUES_SIZE (2 + VALUE_SIZE)
#define VALUE_SIZE 4

static int	read_number_of(CrdtReader *body, Size size);
static CrdtReader read_name(CrdtReader *body);
static WriteStamp read_write(CrdtReader *body, const Vector *seen);
static void read_columns(RowVersion *version, CrdtReader *body);
static void read_values(RowVersion *version, CrdtReader *body);
static ColumnValues read_column_values(CrdtReader *body, const Vector *seen);
static KeptValue read_value(CrdtReader *body, const Vector *seen);
static int	count_kept(const RowVersion *version);
static void append_name(CrdtBuffer *out, const CrdtReader *name);
static void put_write(CrdtBuffer *out, WriteStamp write, const Vector *seen);
static void append_columns(CrdtBuffer *out, const RowVersion *version, int n);
static void append_values(CrdtBuffer *out, const RowVersion *version);
static void append_value(CrdtBuffer *out, const KeptValue *value);
static void check_vector(const Vector *vector);
static void check_name(const CrdtReader *last, const CrdtReader *name);
static void check_write(WriteStamp write);
static void check_values(const ColumnValues *column, const Vector *seen);

/* --- reading ------------------------------------------------------------- */

/* Take a value apart, whether it is compressed or out of line or not. */
RowVersion
row_version_read(const struct varlena *value)
{
	struct varlena *plain = pg_detoast_datum_packed(unconstify(struct varlena *, value));

	return row_version_read_body(crdt_state(plain, CRDT_ROW_VERSION).body);
}

RowVersion
row_version_read_body(CrdtReader body)
{
	RowVersion	version = {.length = 1};
	int			parts = *crdt_read_bytes(&body, 1).at;

	if (parts & ~ALL_PARTS)
		crdt_corrupted("it has an unknown part");
	if (parts & PART_LENGTH)
		version.length = crdt_read_varint(&body);
	version.seen = vector_read(&body);
	if (parts & PART_DELETED)
		version.deleted = vector_read(&body);
	if (parts & PART_ROW)
		version.row = read_write(&body, &version.seen);
	if (parts & PART_COLUMNS)
		read_columns(&version, &body);
	if (parts & PART_VALUES)
		read_values(&version, &body);
	return version;
}

/* How many of something that takes some bytes at least. */
static int
read_number_of(CrdtReader *body, Size size)
{
	uint64		n = crdt_read_varint(body);

	if (n > crdt_left(body) / size)
		crdt_corrupted("it ends too early");
	return (int) n;
}

static CrdtReader
read_name(CrdtReader *body)
{
	uint64		size = crdt_read_varint(body);

	return crdt_read_bytes(body, size);
}

static WriteStamp
read_write(CrdtReader *body, const Vector *seen)
{
	WriteStamp	write;
	uint64		who;

	write.stamp = crdt_read_varint(body);
	who = crdt_read_varint(body);
	if (who > (uint64) seen->n)
		crdt_corrupted("a write is of no replica");
	write.replica = who == 0 ? crdt_read_id(body) : seen->entries[who - 1].id;
	write.event = crdt_read_varint(body);
	return write;
}

static void
read_columns(RowVersion *version, CrdtReader *body)
{
	version->ncolumns = read_number_of(body, COLUMN_SIZE);
	version->columns = palloc_extended((Size) Max(version->ncolumns, 1) * sizeof(ColumnStamp), MCXT_ALLOC_HUGE);
	for (int i = 0; i < version->ncolumns; i++)
	{
		ColumnStamp *column = &version->columns[i];

		column->name = read_name(body);
		column->first = *crdt_read_bytes(body, 1).at != 0;
		column->write = read_write(body, &version->seen);
	}
}

static void
read_values(RowVersion *version, CrdtReader *body)
{
	version->nvalues = read_number_of(body, VALUES_SIZE);
	version->values = palloc_extended((Size) Max(version->nvalues, 1) * sizeof(ColumnValues), MCXT_ALLOC_HUGE);
	for (int i = 0; i < version->nvalues; i++)
		version->values[i] = read_column_values(body, &version->seen);
}

static ColumnValues
read_column_values(CrdtReader *body, const Vector *seen)
{
	ColumnValues column;

	column.name = read_name(body);
	column.n = read_number_of(body, VALUE_SIZE);
	if (column.n == 0)
		crdt_corrupted("a column has no value");
	column.values = palloc_extended(column.n * sizeof(KeptValue), MCXT_ALLOC_HUGE);
	for (int i = 0; i < column.n; i++)
		column.values[i] = read_value(body, seen);
	return column;
}

static KeptValue
read_value(CrdtReader *body, const Vector *seen)
{
	KeptValue	value = {{0}};
	uint64		size;

	value.dot = dots_read(body, seen->n);
	value.write.replica = seen->entries[value.dot.index].id;
	value.write.stamp = crdt_read_varint(body);
	value.write.event = value.dot.counter;
	size = crdt_read_varint(body);
	value.isnull = size == 0;
	value.value = crdt_read_bytes(body, value.isnull ? 0 : size - 1);
	return value;
}

/* --- writing ------------------------------------------------------------- */

/* As a value; columns that were not written later than the row are left out. */
struct varlena *
row_version_write(const RowVersion *version)
{
	CrdtBuffer	out;

	crdt_start(&out, CRDT_ROW_VERSION);
	row_version_write_body(&out, version);
	return crdt_finish(&out);
}

void
row_version_write_body(CrdtBuffer *out, const RowVersion *version)
{
	int			kept = count_kept(version);

	crdt_reserve(out, 1 + CRDT_VARINT_SIZE);
	out->data[out->used++] = (uint8) ((version->length > 1 ? PART_LENGTH : 0) |
									  (version->deleted.n > 0 ? PART_DELETED : 0) |
									  (version->row.stamp > 0 ? PART_ROW : 0) |
									  (kept > 0 ? PART_COLUMNS : 0) |
									  (version->nvalues > 0 ? PART_VALUES : 0));
	if (version->length > 1)
		crdt_put_varint(out, version->length);
	vector_write(out, &version->seen);
	if (version->deleted.n > 0)
		vector_write(out, &version->deleted);
	if (version->row.stamp > 0)
	{
		crdt_reserve(out, WRITE_MAX_SIZE);
		put_write(out, version->row, &version->seen);
	}
	if (kept > 0)
		append_columns(out, version, kept);
	if (version->nvalues > 0)
		append_values(out, version);
}

/* How many columns say more than the row's write. */
static int
count_kept(const RowVersion *version)
{
	int			n = 0;

	for (int i = 0; i < version->ncolumns; i++)
		n += row_version_keeps(version, &version->columns[i]);
	return n;
}

static void
append_name(CrdtBuffer *out, const CrdtReader *name)
{
	crdt_append_varint(out, crdt_left(name));
	crdt_append_rest(out, name);
}

/* The room was reserved. */
static void
put_write(CrdtBuffer *out, WriteStamp write, const Vector *seen)
{
	int			index = vector_find(seen, write.replica);

	crdt_put_varint(out, write.stamp);
	crdt_put_varint(out, index + 1);
	if (index < 0)
		crdt_put_id(out, write.replica);
	crdt_put_varint(out, write.event);
}

static void
append_columns(CrdtBuffer *out, const RowVersion *version, int n)
{
	crdt_append_varint(out, n);
	for (int i = 0; i < version->ncolumns; i++)
	{
		const ColumnStamp *column = &version->columns[i];

		if (!row_version_keeps(version, column))
			continue;
		append_name(out, &column->name);
		crdt_reserve(out, 1 + WRITE_MAX_SIZE);
		out->data[out->used++] = column->first ? 1 : 0;
		put_write(out, column->write, &version->seen);
	}
}

static void
append_values(CrdtBuffer *out, const RowVersion *version)
{
	crdt_append_varint(out, version->nvalues);
	for (int i = 0; i < version->nvalues; i++)
	{
		const ColumnValues *column = &version->values[i];

		append_name(out, &column->name);
		crdt_append_varint(out, column->n);
		for (int j = 0; j < column->n; j++)
			append_value(out, &column->values[j]);
	}
}

static void
append_value(CrdtBuffer *out, const KeptValue *value)
{
	Size		size = value->isnull ? 0 : crdt_left(&value->value);

	crdt_reserve(out, DOT_MAX_SIZE + 2 * CRDT_VARINT_SIZE + size);
	dots_put(out, value->dot);
	crdt_put_varint(out, value->write.stamp);
	crdt_put_varint(out, value->isnull ? 0 : size + 1);
	crdt_put_bytes(out, value->value.at, size);
}

/* --- checking ------------------------------------------------------------ */

/*
 * row_version_check_body
 *		Raise an error unless the body is canonical.
 *
 * If what it says is sound, then it must be written just like this.
 */
void
row_version_check_body(CrdtReader body, int depth)
{
	RowVersion	version = row_version_read_body(body);
	const CrdtReader *last = NULL;
	CrdtBuffer	canonical;
	CrdtReader	written;

	if (version.length < 1 || version.length > CRDT_MAX_COUNT)
		crdt_corrupted("a length is out of range");
	check_vector(&version.seen);
	check_vector(&version.deleted);
	if (!vector_within(&version.deleted, &version.seen))
		crdt_corrupted("what was deleted wasn't seen");
	if (version.row.stamp > 0)
		check_write(version.row);
	for (int i = 0; i < version.ncolumns; last = &version.columns[i++].name)
	{
		check_name(last, &version.columns[i].name);
		check_write(version.columns[i].write);
	}
	last = NULL;
	for (int i = 0; i < version.nvalues; last = &version.values[i++].name)
	{
		check_name(last, &version.values[i].name);
		check_values(&version.values[i], &version.seen);
	}

	crdt_start(&canonical, CRDT_ROW_VERSION);
	row_version_write_body(&canonical, &version);
	written.at = canonical.data + VARHDRSZ + CRDT_PREFIX_SIZE;
	written.end = canonical.data + canonical.used;
	if (crdt_compare_bytes(&body, &written) != 0)
		crdt_corrupted("it isn't in its shortest form");
	pfree(canonical.data);
}

static void
check_vector(const Vector *vector)
{
	uint64		last = 0;

	for (int i = 0; i < vector->n; i++)
	{
		if (vector->entries[i].id <= last)
			crdt_corrupted("replica ids don't ascend");
		if (vector->entries[i].count < 1 || vector->entries[i].count > CRDT_MAX_COUNT)
			crdt_corrupted("a count is out of range");
		last = vector->entries[i].id;
	}
}

/* The last name is NULL at the first one. */
static void
check_name(const CrdtReader *last, const CrdtReader *name)
{
	if (last != NULL && crdt_compare_bytes(last, name) >= 0)
		crdt_corrupted("names of columns don't ascend");
	crdt_text_check(name);
}

static void
check_write(WriteStamp write)
{
	if (write.stamp < 1 || write.stamp > CRDT_MAX_COUNT)
		crdt_corrupted("a stamp is out of range");
	if (write.replica == 0)
		crdt_corrupted("a replica id is 0");
	if (write.event > CRDT_MAX_COUNT)
		crdt_corrupted("a count is out of range");
}

static void
check_values(const ColumnValues *column, const Vector *seen)
{
	int			last = -1;

	for (int i = 0; i < column->n; i++)
	{
		const KeptValue *value = &column->values[i];

		if (value->dot.index <= last)
			crdt_corrupted("dots don't ascend");
		if (value->dot.counter < 1 || value->dot.counter > seen->entries[value->dot.index].count)
			crdt_corrupted("a dot isn't covered by what was seen");
		check_write(value->write);
		crdt_text_check(&value->value);
		last = value->dot.index;
	}
}
