/*-------------------------------------------------------------------------
 *
 * counts.c
 *	  Merging states that are nothing but numbers by replica.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/counts.h"

/* entries to make room for at first */
#define INITIAL_ENTRIES 6

typedef struct CountsEntry
{
	uint64		id;				/* of the replica */
	uint64		values[COUNTS_MAX_WIDTH];	/* the first width of them */
	char		status;			/* simplehash's */
} CountsEntry;

/* Ids are random, or chosen by people. */
static inline uint32
hash_id(uint64 id)
{
	/* by the golden ratio; the upper half depends on all of the id */
	return (uint32) (((id ^ (id >> 32)) * UINT64CONST(0x9e3779b97f4a7c15)) >> 32);
}

#define SH_PREFIX table
#define SH_ELEMENT_TYPE CountsEntry
#define SH_KEY_TYPE uint64
#define SH_KEY id
#define SH_HASH_KEY(table, key) hash_id(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct Counts
{
	int			width;			/* numbers of an entry */
	table_hash *entries;
};

static int	compare_entries(const void *a, const void *b);

/* --- one state ----------------------------------------------------------- */

/* Look for a replica's entry, of so many numbers. */
CountsPlace
counts_find(CrdtReader body, uint64 id, int width)
{
	CountsPlace place = {0, {body.at, body.at}, {body.at, body.at}, body};

	while (!crdt_at_end(&place.behind))
	{
		CrdtReader	next = place.behind;
		uint64		next_id = crdt_read_id(&next);

		if (next_id > id)
			break;
		for (int i = 0; i < width; i++)
			(void) crdt_read_varint(&next);
		place.behind.at = next.at;
		if (next_id == id)
		{
			place.own.end = next.at;
			break;
		}
		place.before.end = place.own.at = place.own.end = next.at;
		place.index++;
	}
	return place;
}

/* --- two states ---------------------------------------------------------- */

static pg_attribute_always_inline void
put_entry(CrdtBuffer *out, CrdtReader *reader, int width)
{
	CrdtReader	entry = *reader;

	(void) crdt_read_id(reader);
	for (int i = 0; i < width; i++)
		(void) crdt_read_varint(reader);
	crdt_put_bytes(out, entry.at, reader->at - entry.at);
}

/* Append all of two states of which entries have so many numbers. */
static pg_attribute_always_inline void
merge_entries(CrdtBuffer *out, CrdtReader a, CrdtReader b, int width)
{
	CrdtBuffer	to;

	crdt_reserve(out, crdt_left(&a) + crdt_left(&b) + CRDT_LARGER_SPARE);
	to = *out;					/* nobody else's, so that it can live in
								 * registers */
	while (!crdt_at_end(&a) && !crdt_at_end(&b))
	{
		CrdtReader	in_a = a,
					in_b = b;
		uint64		id_a = crdt_read_id(&in_a),
					id_b = crdt_read_id(&in_b);

		if (id_a != id_b)
		{
			put_entry(&to, id_a < id_b ? &a : &b, width);
			continue;
		}
		crdt_put_id(&to, id_a);
		for (int i = 0; i < width; i++)
			crdt_put_larger(&to, &in_a, &in_b);
		a = in_a;
		b = in_b;
	}
	*out = to;
	crdt_append_rest(out, crdt_at_end(&a) ? &b : &a);
}

/* Append the larger one of all that each replica has in two states. */
void
counts_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b, int width)
{
	/* known when it is compiled, for the widths that there are */
	if (width == 1)
		merge_entries(out, a, b, 1);
	else if (width == 4)
		merge_entries(out, a, b, 4);
	else
		merge_entries(out, a, b, width);
}

/* --- many states --------------------------------------------------------- */

/* Nothing yet; entries will have so many numbers. */
Counts *
counts_create(MemoryContext context, int width)
{
	Counts	   *counts = MemoryContextAlloc(context, sizeof(Counts));

	Assert(width > 0 && width <= COUNTS_MAX_WIDTH);
	counts->width = width;
	counts->entries = table_create(context, INITIAL_ENTRIES, NULL);
	return counts;
}

/* Merge a state of which entries have so many numbers. */
static pg_attribute_always_inline void
add_entries(table_hash *entries, CrdtReader body, int width)
{
	while (!crdt_at_end(&body))
	{
		uint64		id = crdt_read_id(&body);
		bool		found;
		CountsEntry *entry = table_insert(entries, id, &found);

		if (unlikely(!found))
			memset(entry->values, 0, sizeof(entry->values));
		for (int i = 0; i < width; i++)
		{
			uint64		value = crdt_read_varint(&body);

			if (value > entry->values[i])
				entry->values[i] = value;
		}
	}
}

/* Merge a state. */
void
counts_add(Counts *counts, CrdtReader body)
{
	/* known when it is compiled, where it is 1 */
	if (counts->width == 1)
		add_entries(counts->entries, body, 1);
	else
		add_entries(counts->entries, body, counts->width);
}

/* Append what was merged, as a body. */
void
counts_write(CrdtBuffer *out, const Counts *counts)
{
	uint32		n = counts->entries->members;
	CountsEntry *sorted = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(CountsEntry));
	CountsEntry *entry;
	table_iterator iterator;

	table_start_iterate(counts->entries, &iterator);
	for (uint32 i = 0; (entry = table_iterate(counts->entries, &iterator)) != NULL; i++)
		sorted[i] = *entry;
	qsort(sorted, n, sizeof(CountsEntry), compare_entries);
	for (uint32 i = 0; i < n; i++)
	{
		crdt_reserve(out, CRDT_ID_SIZE + COUNTS_MAX_WIDTH * CRDT_VARINT_SIZE);
		crdt_put_id(out, sorted[i].id);
		for (int j = 0; j < counts->width; j++)
			crdt_put_varint(out, sorted[i].values[j]);
	}
	pfree(sorted);
}

static int
compare_entries(const void *a, const void *b)
{
	uint64		id_a = ((const CountsEntry *) a)->id;
	uint64		id_b = ((const CountsEntry *) b)->id;

	return (id_a > id_b) - (id_a < id_b);
}
