/*-------------------------------------------------------------------------
 *
 * ormap.c
 *	  Map from text to other conflict-free types: the lattice.
 *
 * Keys come and go as the elements of an orset do: a put() that a removal hasn't
 * seen wins.  What is under a key merges as its type does, and removing the key
 * resets it: what the removal has seen is undone, and nothing else.  A key has an
 * entry for each type that was put there, so that both are kept if replicas
 * don't agree about the type.
 *
 * Body: see map.h.  As JSON: {"clock": {"id": count, ...}, "entries": [{"key":
 * "k", "type": "pncounter", "dots": {"id": counter, ...}, "state": ...}, ...]}.
 *
 * See Brown, Cribbs, Meiklejohn, Elliott: "Riak DT map: a composable, convergent
 * replicated dictionary" (PaPEC 2014), and Almeida, Shoker, Baquero: "Delta
 * state replicated data types" (JPDC 111, 2018).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "crdt/crdt.h"
#include "crdt/dots.h"
#include "crdt/json.h"
#include "crdt/map.h"
#include "crdt/map_json.h"

static void check(CrdtReader body, int depth);
static void check_entry(CrdtReader *body, const Vector *vector, MapEntry *entry, int depth);
static void merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void merge_entry(CrdtBuffer *out, const DotsJoin *join, MapEntry *a, MapEntry *b);
static void reset(CrdtBuffer *out, CrdtReader body);

const CrdtRoutine ormap_routine = {
	.name = "ormap",
	.check = check,
	.merge = merge,
	.reset = reset,
	.to_json = map_format,
	.from_json = map_parse,
	.value = map_format_value,
};

static void
check(CrdtReader body, int depth)
{
	Vector		vector;
	uint64		n;
	MapEntry	last,
				entry;

	if (depth >= CRDT_MAX_DEPTH)
		crdt_corrupted("maps are nested too deeply");
	vector = vector_read_checked(&body);
	n = crdt_read_minimal_varint(&body);
	for (uint64 i = 0; i < n; i++)
	{
		check_entry(&body, &vector, &entry, depth);
		if (i > 0 && map_compare_entries(&last, &entry) >= 0)
			crdt_corrupted("entries don't ascend");
		last = entry;
	}
	if (!crdt_at_end(&body))
		crdt_corrupted("something follows its last entry");
	pfree(vector.entries);
}

/* Read an entry that must be canonical: its key, type and state. */
static void
check_entry(CrdtReader *body, const Vector *vector, MapEntry *entry, int depth)
{
	uint64		size = crdt_read_minimal_varint(body);

	entry->key = crdt_read_bytes(body, size);
	crdt_text_check(&entry->key);
	entry->type = (CrdtType) *crdt_read_bytes(body, 1).at;
	entry->routine = map_routine(entry->type);
	(void) dots_check_list(vector, body);
	size = crdt_read_minimal_varint(body);
	entry->state = crdt_read_bytes(body, size);
	entry->routine->check(entry->state, depth + 1);
}

/* Append the entries that any of the two maps has. */
static void
merge(CrdtBuffer *out, CrdtReader body_a, CrdtReader body_b)
{
	MapReader	a = map_open(body_a),
				b = map_open(body_b);
	MapEntry	entry_a,
				entry_b;
	bool		more_a,
				more_b;
	DotsJoin	join;
	MapNumber	number;
	uint64		n = 0;

	/* what is damaged may be nested deeper than what we make */
	check_stack_depth();
	crdt_reserve(out, crdt_left(&body_a) + crdt_left(&body_b));
	dots_join(out, &join, &a.vector, &b.vector);
	number = map_set_aside(out, Max(a.left, b.left));
	more_a = map_next(&a, &entry_a);
	more_b = map_next(&b, &entry_b);
	while (more_a || more_b)
	{
		int			order = !more_b ? -1 : !more_a ? 1 : map_compare_entries(&entry_a, &entry_b);

		merge_entry(out, &join, order <= 0 ? &entry_a : NULL, order >= 0 ? &entry_b : NULL);
		if (order <= 0)
			more_a = map_next(&a, &entry_a);
		if (order >= 0)
			more_b = map_next(&b, &entry_b);
		n++;
	}
	map_fill_in(out, number, n);
	dots_join_end(&join);
}

/* Append one entry; NULL if a side doesn't have it. */
static void
merge_entry(CrdtBuffer *out, const DotsJoin *join, MapEntry *a, MapEntry *b)
{
	map_append_key(out, a ? a : b);
	(void) dots_merge_lists(out, join, a ? &a->dots : NULL, b ? &b->dots : NULL);
	if (a && b)
		map_append_merged(out, a, &b->state);
	else
		map_append_state(out, a ? &a->state : &b->state);
}

static void
reset(CrdtBuffer *out, CrdtReader body)
{
	map_remove(out, body, NULL);
}
