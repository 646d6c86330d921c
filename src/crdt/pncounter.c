/*-------------------------------------------------------------------------
 *
 * pncounter.c
 *	  Counter that goes up and down, and can be reset.
 *
 * Body: entries to the end, ids ascending, each once:
 *
 *		id | inc | dec | inc_reset | dec_reset		(8 bytes, then varints)
 *
 * inc and dec are what the replica has counted up and down, not both 0; the
 * other two are how much of that some reset has undone, at most all of it.  The
 * value is what wasn't undone.  A reset undoes what it has seen: counts that it
 * hadn't are larger than what it wrote down, and the difference survives.
 *
 * As JSON: {"id": {"inc": 5, "dec": 2, "inc_reset": 3}, ...}, without what is 0.
 *
 * See Shapiro et al. 2011, specification 7 (PN-counter).  Each of the four only
 * grows, so that the join is the larger one of each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/counter.h"
#include "crdt/counts.h"
#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"

/* the most bytes of an entry */
#define ENTRY_MAX_SIZE (CRDT_ID_SIZE + 4 * CRDT_VARINT_SIZE)

typedef struct Entry
{
	uint64		id;				/* of the replica, > 0 */
	uint64		inc;			/* this and the others: 0 .. CRDT_MAX_COUNT */
	uint64		dec;
	uint64		inc_reset;		/* <= inc */
	uint64		dec_reset;		/* <= dec */
} Entry;

static inline Entry read_entry(CrdtReader *reader);
static inline void put_entry(CrdtBuffer *out, const Entry *entry);
static void check_body(CrdtReader body, int depth);
static void merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void reset_body(CrdtBuffer *out, CrdtReader body);
static void body_to_json(StringInfo out, CrdtReader body, int depth);
static void body_from_json(CrdtBuffer *out, JsonbValue *json, int depth);
static void value_to_json(StringInfo out, CrdtReader body, int depth);
static void append_member(StringInfo out, const char *name, uint64 count);
static Entry parse_entry(CrdtJsonMembers *member);
static int	compare_entries(const void *a, const void *b);
static void count(CrdtBuffer *out, CrdtReader body, int64 amount, bool down);
static CounterValue sum(CrdtReader body);
static Datum change(PG_FUNCTION_ARGS, bool down);

PG_FUNCTION_INFO_V1(pncounter_new);
PG_FUNCTION_INFO_V1(pncounter_increment);
PG_FUNCTION_INFO_V1(pncounter_decrement);
PG_FUNCTION_INFO_V1(pncounter_reset);
PG_FUNCTION_INFO_V1(pncounter_value);
PG_FUNCTION_INFO_V1(pncounter_int8);

const CrdtRoutine pncounter_routine = {
	.name = "pncounter",
	.made_of = "bigint",
	.counts = 4,
	.check = check_body,
	.merge = merge_bodies,
	.reset = reset_body,
	.to_json = body_to_json,
	.from_json = body_from_json,
	.value = value_to_json,
};

/* --- bytes --------------------------------------------------------------- */

static inline Entry
read_entry(CrdtReader *reader)
{
	Entry		entry;

	entry.id = crdt_read_id(reader);
	entry.inc = crdt_read_varint(reader);
	entry.dec = crdt_read_varint(reader);
	entry.inc_reset = crdt_read_varint(reader);
	entry.dec_reset = crdt_read_varint(reader);
	return entry;
}

/* The room was reserved. */
static inline void
put_entry(CrdtBuffer *out, const Entry *entry)
{
	crdt_put_id(out, entry->id);
	crdt_put_varint(out, entry->inc);
	crdt_put_varint(out, entry->dec);
	crdt_put_varint(out, entry->inc_reset);
	crdt_put_varint(out, entry->dec_reset);
}

static void
check_body(CrdtReader body, int depth)
{
	uint64		last = 0;

	while (!crdt_at_end(&body))
	{
		uint64		id = crdt_read_id(&body);
		uint64		inc = crdt_read_minimal_varint(&body);
		uint64		dec = crdt_read_minimal_varint(&body);

		if (id <= last)
			crdt_corrupted("replica ids don't ascend");
		if (inc > CRDT_MAX_COUNT || dec > CRDT_MAX_COUNT || (inc == 0 && dec == 0))
			crdt_corrupted("a count is out of range");
		if (crdt_read_minimal_varint(&body) > inc || crdt_read_minimal_varint(&body) > dec)
			crdt_corrupted("more was reset than was counted");
		last = id;
	}
}

/* Append the larger one of all that each replica has. */
static void
merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	counts_merge(out, a, b, 4);
}

/* Append the state with all undone that it has counted. */
static void
reset_body(CrdtBuffer *out, CrdtReader body)
{
	while (!crdt_at_end(&body))
	{
		Entry		entry = read_entry(&body);

		entry.inc_reset = entry.inc;
		entry.dec_reset = entry.dec;
		crdt_reserve(out, ENTRY_MAX_SIZE);
		put_entry(out, &entry);
	}
}

/* --- JSON ---------------------------------------------------------------- */

static void
body_to_json(StringInfo out, CrdtReader body, int depth)
{
	const char *separator = "";

	appendStringInfoChar(out, '{');
	while (!crdt_at_end(&body))
	{
		Entry		entry = read_entry(&body);

		appendStringInfoString(out, separator);
		crdt_json_append_id(out, entry.id);
		appendStringInfoString(out, ": {");
		append_member(out, "inc", entry.inc);
		append_member(out, "dec", entry.dec);
		append_member(out, "inc_reset", entry.inc_reset);
		append_member(out, "dec_reset", entry.dec_reset);
		appendStringInfoChar(out, '}');
		separator = ", ";
	}
	appendStringInfoChar(out, '}');
}

/* Append a member of an object, unless it is 0. */
static void
append_member(StringInfo out, const char *name, uint64 count)
{
	if (count > 0)
		appendStringInfo(out, "%s\"%s\": " UINT64_FORMAT, out->data[out->len - 1] == '{' ? "" : ", ", name, count);
}

static void
body_from_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	CrdtJsonMembers members = crdt_json_object(json);
	int			n = JsonContainerSize(json->val.binary.data);
	Entry	   *entries = palloc(Max(n, 1) * sizeof(Entry));

	for (int i = 0; crdt_json_next(&members); i++)
		entries[i] = parse_entry(&members);
	qsort(entries, n, sizeof(Entry), compare_entries);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && entries[i].id == entries[i - 1].id)
			crdt_json_error("Replica id \"%" INT64_MODIFIER "x\" occurs twice.", entries[i].id);
		crdt_reserve(out, ENTRY_MAX_SIZE);
		put_entry(out, &entries[i]);
	}
	pfree(entries);
}

/* Read what one replica has counted. */
static Entry
parse_entry(CrdtJsonMembers *member)
{
	Entry		entry = {crdt_json_id(&member->key)};
	CrdtJsonMembers counts = crdt_json_object(&member->value);

	while (crdt_json_next(&counts))
	{
		if (crdt_json_key_is(&counts, "inc"))
			entry.inc = crdt_json_count(&counts.value, 0);
		else if (crdt_json_key_is(&counts, "dec"))
			entry.dec = crdt_json_count(&counts.value, 0);
		else if (crdt_json_key_is(&counts, "inc_reset"))
			entry.inc_reset = crdt_json_count(&counts.value, 0);
		else if (crdt_json_key_is(&counts, "dec_reset"))
			entry.dec_reset = crdt_json_count(&counts.value, 0);
		else
			crdt_json_unknown_key(&counts);
	}
	if (entry.inc == 0 && entry.dec == 0)
		crdt_json_error("Replica \"%" INT64_MODIFIER "x\" has counted nothing.", entry.id);
	if (entry.inc_reset > entry.inc || entry.dec_reset > entry.dec)
		crdt_json_error("More was reset than replica \"%" INT64_MODIFIER "x\" has counted.", entry.id);
	return entry;
}

static int
compare_entries(const void *a, const void *b)
{
	uint64		id_a = ((const Entry *) a)->id;
	uint64		id_b = ((const Entry *) b)->id;

	return (id_a > id_b) - (id_a < id_b);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	CounterValue result = sum(body);

	counter_to_json(out, &result);
}

/* --- counting ------------------------------------------------------------ */

/*
 * Append the state that this replica has counted up, or down; a negative amount
 * goes the other way.  An error if that is too much for a count.
 */
static void
count(CrdtBuffer *out, CrdtReader body, int64 amount, bool down)
{
	Entry		entry = {replica_id_own()};
	CountsPlace place = counts_find(body, entry.id, 4);
	uint64		by = counter_magnitude(amount);

	if (!crdt_at_end(&place.own))
		entry = read_entry(&place.own);
	if (down != (amount < 0))
		entry.dec = crdt_count_sum(entry.dec, by);
	else
		entry.inc = crdt_count_sum(entry.inc, by);

	crdt_reserve(out, crdt_left(&body) + ENTRY_MAX_SIZE);
	crdt_put_bytes(out, place.before.at, crdt_left(&place.before));
	if (entry.inc > 0 || entry.dec > 0)
		put_entry(out, &entry);
	crdt_put_bytes(out, place.behind.at, crdt_left(&place.behind));
}

/* What wasn't undone. */
static CounterValue
sum(CrdtReader body)
{
	CounterValue result = {0};

	while (!crdt_at_end(&body))
	{
		Entry		entry = read_entry(&body);

		if (entry.inc_reset > entry.inc || entry.dec_reset > entry.dec)
			crdt_corrupted("more was reset than was counted");
		counter_sum_add(&result.up, entry.inc - entry.inc_reset);
		counter_sum_add(&result.down, entry.dec - entry.dec_reset);
	}
	return result;
}

/* --- SQL functions ------------------------------------------------------- */

/* pncounter(bigint): a counter that this replica has brought to the value */
Datum
pncounter_new(PG_FUNCTION_ARGS)
{
	CrdtReader	nothing = {NULL, NULL};
	CrdtBuffer	out;

	crdt_start(&out, CRDT_PNCOUNTER);
	count(&out, nothing, PG_GETARG_INT64(0), false);
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* The counter that this replica has counted up, or down. */
static Datum
change(PG_FUNCTION_ARGS, bool down)
{
	CrdtState	counter = CRDT_GETARG(0, CRDT_PNCOUNTER);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_PNCOUNTER);
	count(&out, counter.body, PG_GETARG_INT64(1), down);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* increment(pncounter, bigint), pncounter + bigint */
Datum
pncounter_increment(PG_FUNCTION_ARGS)
{
	return change(fcinfo, false);
}

/* decrement(pncounter, bigint), pncounter - bigint */
Datum
pncounter_decrement(PG_FUNCTION_ARGS)
{
	return change(fcinfo, true);
}

/* reset(pncounter): all undone that is known here */
Datum
pncounter_reset(PG_FUNCTION_ARGS)
{
	CrdtState	counter = CRDT_GETARG(0, CRDT_PNCOUNTER);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_PNCOUNTER);
	reset_body(&out, counter.body);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* value(pncounter), pncounter::numeric */
Datum
pncounter_value(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_PNCOUNTER).body);

	PG_RETURN_NUMERIC(counter_numeric(&result));
}

/* pncounter::bigint */
Datum
pncounter_int8(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_PNCOUNTER).body);

	PG_RETURN_INT64(counter_int64(&result));
}
