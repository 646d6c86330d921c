/*-------------------------------------------------------------------------
 *
 * row_version.h
 *	  Row version: which changes of a row are known, and who wrote what last.
 *
 * A table's row that several servers change carries one.  It has
 *
 * length	The causal length (Yu, Rostad: "A low-cost set CRDT based on causal
 *			lengths", PaPoC 2020): how often the row has come and gone.  Odd: it
 *			exists; even: it was deleted.
 * seen		How many changes of each replica are known, in this length.  Each
 *			change of the row is one event.
 * deleted	What deletions had seen that give way to other changes.  The row lives
 *			as long as something isn't covered by it.
 * row		The last write of the row as a whole.
 * columns	Writes of single columns: the last ones that are later than the row's,
 *			or the first ones.
 * values	Columns that keep all values that were written concurrently, each with
 *			the dot (dots.h) of its change.
 *
 * Merging takes the version of the larger length with all that it has.  Nothing
 * of a smaller length is known any more: a row that comes again begins with
 * nothing seen.  If it went on from what was seen before, a replica whose changes
 * were lost to the larger length could count other changes by the same numbers,
 * and a value of theirs would be taken for one that was replaced.  A deletion's
 * version may keep what it has seen, to tell which changes it hadn't: it has no
 * values, and nobody goes on counting in its length.
 *
 * Of equal lengths each part is merged for itself: vectors by the larger counts,
 * writes by the larger (stamp, replica, event), first ones by the smaller, values
 * as dots.h says with seen as the vector.  A first write of a column is above all
 * last ones.
 *
 * In memory a version points to what it was read from, merged from or given.  It
 * may be copied by assignment: what changes a version makes new arrays.  Dots in a
 * version are valid until row_version_event().
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_ROW_VERSION_H
#define CONSISTENCY_CRDT_ROW_VERSION_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/dots.h"
#include "crdt/vector.h"
#include "crdt/wire.h"

/* When something was written, by clock.h, and who did; all 0: never. */
typedef struct WriteStamp
{
	uint64		stamp;			/* 1 .. CRDT_MAX_COUNT */
	uint64		replica;
	uint64		event;			/* which of its changes, as seen counts them;
								 * 0: not known */
} WriteStamp;

typedef struct ColumnStamp
{
	CrdtReader	name;
	bool		first;			/* the first write, else the last one */
	WriteStamp	write;
} ColumnStamp;

typedef struct KeptValue
{
	Dot			dot;			/* index into seen */
	WriteStamp	write;			/* its replica is the dot's */
	bool		isnull;
	CrdtReader	value;			/* text, empty if it is null */
} KeptValue;

typedef struct ColumnValues
{
	CrdtReader	name;
	int			n;				/* > 0 */
	KeptValue  *values;			/* by ascending index, one an index */
} ColumnValues;

/* {.length = 1} is the version of a row of which nothing is known. */
typedef struct RowVersion
{
	uint64		length;			/* 1 .. CRDT_MAX_COUNT */
	Vector		seen;
	Vector		deleted;		/* <= seen */
	WriteStamp	row;
	int			ncolumns;
	ColumnStamp *columns;		/* by ascending bytes of the name */
	int			nvalues;
	ColumnValues *values;		/* the same */
} RowVersion;

typedef enum VersionOrder
{
	VERSION_EQUAL,
	VERSION_BEFORE,
	VERSION_AFTER,
	VERSION_CONCURRENT
} VersionOrder;

/* row_version.c: versions in memory */
extern RowVersion row_version_merge(const RowVersion *a, const RowVersion *b);
extern VersionOrder row_version_order(const RowVersion *a, const RowVersion *b);
extern bool row_version_lives(const RowVersion *version);
extern uint64 row_version_latest(const RowVersion *version);
extern bool row_version_equal(const RowVersion *a, const RowVersion *b);
extern bool row_version_knows(const RowVersion *version, WriteStamp write);
extern bool row_version_discards(const RowVersion *winner, const RowVersion *loser);
extern const ColumnStamp *row_version_find_column(const RowVersion *version, const char *name);
extern const ColumnValues *row_version_find_values(const RowVersion *version, const char *name);
extern WriteStamp row_version_column(const RowVersion *version, const char *name);
extern bool row_version_keeps(const RowVersion *version, const ColumnStamp *column);
extern RowVersion row_version_next_length(const RowVersion *version);
extern Dot	row_version_event(RowVersion *version, uint64 replica);
extern void row_version_set_column(RowVersion *version, const char *name, bool first, WriteStamp write);
extern void row_version_assign(RowVersion *version, const char *name, Dot dot, WriteStamp write, const char *value);

/* row_version_bytes.c: versions as values, and their bodies as CrdtRoutine has them */
extern RowVersion row_version_read(const struct varlena *value);
extern struct varlena *row_version_write(const RowVersion *version);
extern RowVersion row_version_read_body(CrdtReader body);
extern void row_version_write_body(CrdtBuffer *out, const RowVersion *version);
extern void row_version_check_body(CrdtReader body, int depth);

/* row_version_json.c: as CrdtRoutine has them */
extern void row_version_to_json(StringInfo out, CrdtReader body, int depth);
extern void row_version_from_json(CrdtBuffer *out, JsonbValue *json, int depth);
extern void row_version_value_to_json(StringInfo out, CrdtReader body, int depth);

/* The larger one is the later write; equal ones are the same write. */
static inline int
write_stamp_compare(WriteStamp a, WriteStamp b)
{
	if (a.stamp != b.stamp)
		return a.stamp > b.stamp ? 1 : -1;
	if (a.replica != b.replica)
		return a.replica > b.replica ? 1 : -1;
	return (a.event > b.event) - (a.event < b.event);
}

/* Text in memory as the parts of a version have it. */
static inline CrdtReader
row_version_text(const char *string)
{
	CrdtReader	reader;

	reader.at = (const uint8 *) string;
	reader.end = reader.at + strlen(string);
	return reader;
}

/* Do values of the column differ? */
static inline bool
row_version_has_conflict(const ColumnValues *column)
{
	const KeptValue *one = &column->values[0];

	for (const KeptValue *other = one + 1; other < one + column->n; other++)
	{
		if (other->isnull != one->isnull || crdt_compare_bytes(&other->value, &one->value) != 0)
			return true;
	}
	return false;
}

#endif							/* CONSISTENCY_CRDT_ROW_VERSION_H */
