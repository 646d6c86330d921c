/*-------------------------------------------------------------------------
 *
 * dots.c
 *	  Dots: which single events a state still holds, of all that it has seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/counts.h"
#include "crdt/dots.h"
#include "crdt/json.h"

/* An entry of a vector, read one by one. */
typedef struct EntryCursor
{
	CrdtReader	rest;
	bool		valid;			/* false: there are no more */
	VectorEntry entry;
} EntryCursor;

/* A dot of a list, read one by one; of a list of one side that is joined. */
typedef struct DotCursor
{
	const DotsSide *side;
	CrdtReader *rest;
	uint64		left;			/* unread */
	bool		valid;
	bool		survives;		/* if the other side doesn't have it */
	Dot			dot;			/* placed in the joined vector */
} DotCursor;

static void next_entry(EntryCursor *cursor);
static EntryCursor first_entry(const DotsVector *vector);
static void next_dot(DotCursor *cursor);
static DotCursor first_dot(const DotsSide *side, CrdtReader *list);
static void write_number(CrdtBuffer *out, Size at, uint64 number);

/* --- the vector ---------------------------------------------------------- */

static void
next_entry(EntryCursor *cursor)
{
	cursor->valid = !crdt_at_end(&cursor->rest);
	if (cursor->valid)
	{
		cursor->entry.id = crdt_read_id(&cursor->rest);
		cursor->entry.count = crdt_read_varint(&cursor->rest);
	}
}

static EntryCursor
first_entry(const DotsVector *vector)
{
	EntryCursor cursor;

	cursor.rest = vector->entries;
	next_entry(&cursor);
	return cursor;
}

/* The vector that a body begins with; then the body stands behind it. */
DotsVector
dots_read_vector(CrdtReader *body)
{
	uint64		n = crdt_read_varint(body);
	DotsVector	vector;

	if (n > crdt_left(body) / VECTOR_ENTRY_SIZE)
		crdt_corrupted("it ends too early");
	vector.n = (int) n;
	vector.entries.at = body->at;
	for (int i = 0; i < vector.n; i++)
	{
		(void) crdt_read_id(body);
		(void) crdt_read_varint(body);
	}
	vector.entries.end = body->at;
	return vector;
}

/* Append it as it was read. */
void
dots_append_vector(CrdtBuffer *out, const DotsVector *vector)
{
	crdt_append_varint(out, vector->n);
	crdt_append_rest(out, &vector->entries);
}

/*
 * dots_add_event
 *		Append the vector with one more event of a replica, and say which it is.
 *
 * An error if the replica's count can't get larger.
 */
DotsEvent
dots_add_event(CrdtBuffer *out, const DotsVector *vector, uint64 replica)
{
	CountsPlace place = counts_find(vector->entries, replica, 1);
	DotsEvent	event = {{0}};
	uint64		count = 0;

	event.dot.index = place.index;
	event.is_new_replica = crdt_at_end(&place.own);
	if (!event.is_new_replica)
	{
		(void) crdt_read_id(&place.own);
		count = crdt_read_varint(&place.own);
	}
	event.dot.counter = crdt_count_sum(count, 1);
	event.n = vector->n + (event.is_new_replica ? 1 : 0);

	crdt_reserve(out, crdt_left(&vector->entries) + CRDT_ID_SIZE + 2 * CRDT_VARINT_SIZE);
	crdt_put_varint(out, event.n);
	crdt_put_bytes(out, place.before.at, crdt_left(&place.before));
	crdt_put_id(out, replica);
	crdt_put_varint(out, event.dot.counter);
	crdt_put_bytes(out, place.behind.at, crdt_left(&place.behind));
	return event;
}

/*
 * dots_join
 *		Append the least upper bound of two vectors, and prepare to judge dots.
 *
 * To be ended by dots_join_end().
 */
void
dots_join(CrdtBuffer *out, DotsJoin *join, const DotsVector *a, const DotsVector *b)
{
	EntryCursor at_a = first_entry(a),
				at_b = first_entry(b);
	DotsOrigin *origin_a,
			   *origin_b;
	int			n;

	join->a.n = a->n;
	join->b.n = b->n;
	join->allocated = NULL;
	if (a->n > DOTS_FEW || b->n > DOTS_FEW)
		join->allocated = palloc_extended(((Size) a->n + b->n) * sizeof(DotsOrigin), MCXT_ALLOC_HUGE);
	origin_a = join->a.origins = join->allocated ? join->allocated : join->few;
	origin_b = join->b.origins = origin_a + a->n;

	for (n = 0; at_a.valid || at_b.valid; n++)
	{
		bool		takes_a = at_a.valid && (!at_b.valid || at_a.entry.id <= at_b.entry.id);
		bool		takes_b = at_b.valid && (!at_a.valid || at_b.entry.id <= at_a.entry.id);
		DotsOrigin	of_a = {takes_b ? at_b.entry.count : 0, n};
		DotsOrigin	of_b = {takes_a ? at_a.entry.count : 0, n};

		if (takes_a)
		{
			*origin_a++ = of_a;
			next_entry(&at_a);
		}
		if (takes_b)
		{
			*origin_b++ = of_b;
			next_entry(&at_b);
		}
	}
	crdt_append_varint(out, n);
	vector_merge(out, a->entries, b->entries);
}

void
dots_join_end(DotsJoin *join)
{
	if (join->allocated)
		pfree(join->allocated);
}

/* --- lists of dots ------------------------------------------------------- */

static void
next_dot(DotCursor *cursor)
{
	cursor->valid = cursor->left > 0;
	if (cursor->valid)
	{
		Dot			dot = dots_read(cursor->rest, cursor->side->n);

		cursor->left--;
		cursor->survives = dots_survives(cursor->side, dot);
		cursor->dot = dots_place(cursor->side, dot);
	}
}

/* A list may be NULL, then it is empty. */
static DotCursor
first_dot(const DotsSide *side, CrdtReader *list)
{
	DotCursor	cursor = {side, list};

	cursor.left = list == NULL ? 0 : crdt_read_varint(list);
	next_dot(&cursor);
	return cursor;
}

/* Put a number in front of what was appended since, where a byte was left for it. */
static void
write_number(CrdtBuffer *out, Size at, uint64 number)
{
	CrdtBuffer	head = {out->data, at, 0};

	if (number >= 0x80)
	{
		int			more = 0;

		for (uint64 rest = number >> 7; rest > 0; rest >>= 7)
			more++;
		crdt_reserve(out, more);
		memmove(out->data + at + 1 + more, out->data + at + 1, out->used - at - 1);
		out->used += more;
		head.data = out->data;
	}
	crdt_put_varint(&head, number);
}

/*
 * dots_merge_lists
 *		Append what remains of the dots of something that both sides may have.
 *
 * NULL stands for a list without any dots, as of an element that this side doesn't
 * have.  The readers go on behind their lists.  Returns how many dots there are; if
 * there are none, their number 0 is appended all the same.
 */
int
dots_merge_lists(CrdtBuffer *out, const DotsJoin *join, CrdtReader *a, CrdtReader *b)
{
	DotCursor	at_a = first_dot(&join->a, a),
				at_b = first_dot(&join->b, b);
	Size		start;
	int			n = 0;

	crdt_reserve(out, 1);
	start = out->used++;
	while (at_a.valid || at_b.valid)
	{
		bool		takes_a = at_a.valid && (!at_b.valid || at_a.dot.index <= at_b.dot.index);
		bool		takes_b = at_b.valid && (!at_a.valid || at_b.dot.index <= at_a.dot.index);
		bool		in_both = takes_a && takes_b && at_a.dot.counter == at_b.dot.counter;

		if (in_both || (takes_a && at_a.survives) || (takes_b && at_b.survives))
		{
			crdt_reserve(out, DOT_MAX_SIZE);
			dots_put(out, takes_a && (in_both || at_a.survives) ? at_a.dot : at_b.dot);
			n++;
		}
		if (takes_a)
			next_dot(&at_a);
		if (takes_b)
			next_dot(&at_b);
	}
	write_number(out, start, n);
	return n;
}

/* Append a list after an event was added; the reader goes on behind the list. */
void
dots_move_list(CrdtBuffer *out, const DotsEvent *event, CrdtReader *list)
{
	int			n = event->n - (event->is_new_replica ? 1 : 0);
	uint64		left = crdt_read_varint(list);

	crdt_append_varint(out, left);
	for (; left > 0; left--)
	{
		Dot			dot = dots_read(list, n);

		crdt_reserve(out, DOT_MAX_SIZE);
		dots_put(out, dots_move(event, dot));
	}
}

/* --- checks and JSON ----------------------------------------------------- */

/*
 * Check the next dot of several that must ascend.  *last is the one before, of
 * index -1 at first.
 */
void
dots_check(const Vector *vector, CrdtReader *reader, Dot *last)
{
	uint64		index = crdt_read_minimal_varint(reader);
	uint64		counter = crdt_read_minimal_varint(reader);

	if (index >= (uint64) vector->n)
		crdt_corrupted("a dot is of no replica");
	if ((int) index <= last->index)
		crdt_corrupted("dots don't ascend");
	if (counter < 1 || counter > vector->entries[index].count)
		crdt_corrupted("a dot isn't covered by the clock");
	last->index = (int) index;
	last->counter = counter;
}

/* Check a list of dots, and return their number. */
int
dots_check_list(const Vector *vector, CrdtReader *list)
{
	uint64		n = crdt_read_minimal_varint(list);
	Dot			last = {-1, 0};

	for (uint64 i = 0; i < n; i++)
		dots_check(vector, list, &last);
	return (int) n;
}

/* The dot of a replica that JSON names; an error if the clock doesn't cover it. */
Dot
dots_parse(const Vector *vector, uint64 replica, uint64 counter)
{
	Dot			dot = {vector_find(vector, replica), counter};

	if (dot.index < 0 || counter < 1 || counter > vector->entries[dot.index].count)
		crdt_json_error("The clock doesn't cover event " UINT64_FORMAT " of replica \"%" INT64_MODIFIER "x\".",
						counter, replica);
	return dot;
}

/* The dot that JSON describes: ["id", counter]. */
Dot
dots_from_json(const Vector *vector, JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_array(json);
	uint64		replica = 0,
				counter = 0;
	int			n;

	for (n = 0; crdt_json_next(&members); n++)
	{
		if (n == 0)
			replica = crdt_json_id(&members.value);
		else if (n == 1)
			counter = crdt_json_count(&members.value, 1);
	}
	if (n != 2)
		crdt_json_error("A dot is an array of a replica id and a number.");
	return dots_parse(vector, replica, counter);
}
