/*-------------------------------------------------------------------------
 *
 * vector.c
 *	  Counts by replica: version vectors, and grow-only counters.
 *
 * The join takes the larger count of each replica.  See Shapiro et al. 2011,
 * specification 6 (G-counter), and Parker et al.: "Detection of mutual
 * inconsistency in distributed systems" (IEEE TSE 9(3), 1983) for vectors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/counts.h"
#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/vector.h"

static VectorEntry read_entry(CrdtReader *reader);
static void put_entry(CrdtBuffer *out, VectorEntry entry);
static void append_member(StringInfo out, VectorEntry entry, bool is_first);
static void check_entries(CrdtReader *reader, uint64 n);
static Vector allocate(int n);
static int	compare_entries(const void *a, const void *b);

/* --- in bytes ------------------------------------------------------------ */

static VectorEntry
read_entry(CrdtReader *reader)
{
	VectorEntry entry;

	entry.id = crdt_read_id(reader);
	entry.count = crdt_read_varint(reader);
	return entry;
}

/* The room was reserved. */
static void
put_entry(CrdtBuffer *out, VectorEntry entry)
{
	crdt_put_id(out, entry.id);
	crdt_put_varint(out, entry.count);
}

/* Read n entries, or all if n is larger than there are; they must be canonical. */
static void
check_entries(CrdtReader *reader, uint64 n)
{
	uint64		last = 0;

	for (uint64 i = 0; i < n && !crdt_at_end(reader); i++)
	{
		uint64		id = crdt_read_id(reader);
		uint64		count = crdt_read_minimal_varint(reader);

		if (id <= last)
			crdt_corrupted("replica ids don't ascend");
		if (count == 0 || count > CRDT_MAX_COUNT)
			crdt_corrupted("a count is out of range");
		last = id;
	}
}

void
vector_check(CrdtReader body, int depth)
{
	check_entries(&body, PG_UINT64_MAX);
}

/* Append the larger count of each replica. */
void
vector_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	counts_merge(out, a, b, 1);
}

/*
 * Append the vector with one replica's count larger by some amount, which may be
 * 0.  An error if that is too much for a count.
 */
void
vector_increment(CrdtBuffer *out, CrdtReader body, uint64 id, uint64 by)
{
	CountsPlace place = counts_find(body, id, 1);
	VectorEntry entry = {id, 0};

	if (!crdt_at_end(&place.own))
		entry = read_entry(&place.own);
	entry.count = crdt_count_sum(entry.count, by);
	crdt_reserve(out, crdt_left(&body) + CRDT_ID_SIZE + CRDT_VARINT_SIZE);
	crdt_put_bytes(out, place.before.at, crdt_left(&place.before));
	if (entry.count > 0)
		put_entry(out, entry);
	crdt_put_bytes(out, place.behind.at, crdt_left(&place.behind));
}

/* Append a member of a JSON object. */
static void
append_member(StringInfo out, VectorEntry entry, bool is_first)
{
	appendStringInfoString(out, is_first ? "" : ", ");
	crdt_json_append_id(out, entry.id);
	appendStringInfo(out, ": " UINT64_FORMAT, entry.count);
}

void
vector_to_json(StringInfo out, CrdtReader body, int depth)
{
	appendStringInfoChar(out, '{');
	for (bool is_first = true; !crdt_at_end(&body); is_first = false)
		append_member(out, read_entry(&body), is_first);
	appendStringInfoChar(out, '}');
}

void
vector_from_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	Vector		vector = vector_parse(json);

	crdt_reserve(out, (Size) vector.n * (CRDT_ID_SIZE + CRDT_VARINT_SIZE));
	for (int i = 0; i < vector.n; i++)
		put_entry(out, vector.entries[i]);
	pfree(vector.entries);
}

/* --- in memory ----------------------------------------------------------- */

static Vector
allocate(int n)
{
	Vector		vector;

	vector.n = n;
	vector.entries = palloc_extended(Max(n, 1) * sizeof(VectorEntry), MCXT_ALLOC_HUGE);
	return vector;
}

/* Read a vector that the number of its entries goes ahead of. */
Vector
vector_read(CrdtReader *reader)
{
	uint64		n = crdt_read_varint(reader);
	Vector		vector;

	if (n > crdt_left(reader) / VECTOR_ENTRY_SIZE)
		crdt_corrupted("it ends too early");
	vector = allocate((int) n);
	for (int i = 0; i < vector.n; i++)
		vector.entries[i] = read_entry(reader);
	return vector;
}

/* The same for checks: it must be canonical. */
Vector
vector_read_checked(CrdtReader *reader)
{
	CrdtReader	checked = *reader;

	check_entries(&checked, crdt_read_minimal_varint(&checked));
	return vector_read(reader);
}

/* Write a vector behind the number of its entries. */
void
vector_write(CrdtBuffer *out, const Vector *vector)
{
	crdt_reserve(out, CRDT_VARINT_SIZE + (Size) vector->n * (CRDT_ID_SIZE + CRDT_VARINT_SIZE));
	crdt_put_varint(out, vector->n);
	for (int i = 0; i < vector->n; i++)
		put_entry(out, vector->entries[i]);
}

static int
compare_entries(const void *a, const void *b)
{
	uint64		id_a = ((const VectorEntry *) a)->id;
	uint64		id_b = ((const VectorEntry *) b)->id;

	return (id_a > id_b) - (id_a < id_b);
}

/* Read {"id": count, ...}. */
Vector
vector_parse(JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);
	Vector		vector = allocate(JsonContainerSize(json->val.binary.data));

	for (int i = 0; crdt_json_next(&members); i++)
	{
		vector.entries[i].id = crdt_json_id(&members.key);
		vector.entries[i].count = crdt_json_count(&members.value, 1);
	}
	qsort(vector.entries, vector.n, sizeof(VectorEntry), compare_entries);
	for (int i = 1; i < vector.n; i++)
	{
		if (vector.entries[i].id == vector.entries[i - 1].id)
			crdt_json_error("Replica id \"%" INT64_MODIFIER "x\" occurs twice.", vector.entries[i].id);
	}
	return vector;
}

/* Append it as vector_parse() reads it. */
void
vector_format(StringInfo out, const Vector *vector)
{
	appendStringInfoChar(out, '{');
	for (int i = 0; i < vector->n; i++)
		append_member(out, vector->entries[i], i == 0);
	appendStringInfoChar(out, '}');
}

/* The place of an id, -1 if it isn't there. */
int
vector_find(const Vector *vector, uint64 id)
{
	VectorEntry key = {id, 0};
	VectorEntry *found = NULL;

	if (vector->n > 0)
		found = bsearch(&key, vector->entries, vector->n, sizeof(VectorEntry), compare_entries);
	return found == NULL ? -1 : (int) (found - vector->entries);
}

/* The larger count of each replica. */
Vector
vector_join(const Vector *a, const Vector *b)
{
	const VectorEntry *at_a = a->entries,
			   *at_b = b->entries,
			   *end_a = at_a + a->n,
			   *end_b = at_b + b->n;
	Vector		joined = allocate(a->n + b->n);
	VectorEntry *out = joined.entries;

	while (at_a < end_a && at_b < end_b)
	{
		if (at_a->id < at_b->id)
			*out++ = *at_a++;
		else if (at_b->id < at_a->id)
			*out++ = *at_b++;
		else
		{
			*out++ = at_a->count >= at_b->count ? *at_a : *at_b;
			at_a++;
			at_b++;
		}
	}
	while (at_a < end_a)
		*out++ = *at_a++;
	while (at_b < end_b)
		*out++ = *at_b++;
	joined.n = (int) (out - joined.entries);
	return joined;
}

/* Is no count of a larger than that of the same replica in b? */
bool
vector_within(const Vector *a, const Vector *b)
{
	int			j = 0;

	for (int i = 0; i < a->n; i++)
	{
		while (j < b->n && b->entries[j].id < a->entries[i].id)
			j++;
		if (j == b->n || b->entries[j].id != a->entries[i].id || b->entries[j].count < a->entries[i].count)
			return false;
	}
	return true;
}

/*
 * vector_count_up
 *		The vector with one event more of a replica, which then stands at *index.
 *
 * What is given stays as it is.  An error if the count can't get larger.
 */
Vector
vector_count_up(const Vector *vector, uint64 id, int *index)
{
	Vector		result = allocate(vector->n + 1);
	uint64		count = 0;
	int			i;

	for (i = 0; i < vector->n && vector->entries[i].id < id; i++)
		result.entries[i] = vector->entries[i];
	*index = i;
	result.n = i + 1;
	if (i < vector->n && vector->entries[i].id == id)
		count = vector->entries[i++].count;
	result.entries[*index].id = id;
	result.entries[*index].count = crdt_count_sum(count, 1);
	while (i < vector->n)
		result.entries[result.n++] = vector->entries[i++];
	return result;
}
