/*-------------------------------------------------------------------------
 *
 * orset.c
 *	  Set in which an addition wins over a concurrent removal.
 *
 * Body: a vector (dots.h), then elements as in set.h; the trailer is the list of
 * the dots of the additions that nobody has removed.  Adding an element gives it
 * a new dot in place of those that it had, removing it drops it: that the vector
 * covers its dots tells others that it was here.  Merging keeps an element while
 * it has dots.  As JSON:
 *
 *		{"clock": {"id": count, ...},
 *		 "elements": [{"value": ..., "dots": {"id": counter, ...}}, ...]}
 *
 * See Shapiro et al. 2011, specification 15, and for doing without tombstones
 * Bieniusa et al.: "An optimized conflict-free replicated set" (INRIA RR-8083,
 * 2012).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"
#include "crdt/set.h"
#include "crdt/set_expanded.h"

/* A merge that is under way. */
typedef struct OrsetMerge
{
	DotsJoin	join;
	SetPair		pair;
	SetWriter	writer;
} OrsetMerge;

static void check_body(CrdtReader body, int depth);
static void merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static const DotsOrigin *one_origin(const DotsSide *side, const CrdtReader *dots);
static bool append_simple(OrsetMerge *merge);
static void append_merged(OrsetMerge *merge);
static void reset(CrdtBuffer *out, CrdtReader body);
static void format(StringInfo out, CrdtReader body, int depth);
static void format_dots(StringInfo out, CrdtReader dots, const Vector *clock);
static void parse(CrdtBuffer *out, JsonbValue *json, int depth);
static void parse_element(SetList *list, JsonbValue *json, const Vector *clock);
static CrdtReader parse_dots(JsonbValue *json, const Vector *clock);
static void format_value(StringInfo out, CrdtReader body, int depth);
static CrdtReader write_dot(Dot dot);
static CrdtReader move_elements(CrdtReader elements, const DotsEvent *event);

PG_FUNCTION_INFO_V1(orset_new);
PG_FUNCTION_INFO_V1(orset_add);
PG_FUNCTION_INFO_V1(orset_remove);
PG_FUNCTION_INFO_V1(orset_clear);

const CrdtRoutine orset_routine = {
	.name = "orset",
	.made_of = "jsonb",
	.check = check_body,
	.merge = merge_bodies,
	.reset = reset,
	.to_json = format,
	.from_json = parse,
	.value = format_value,
};

static void
check_body(CrdtReader body, int depth)
{
	Vector		vector = vector_read_checked(&body);

	set_check(body, CRDT_ORSET, &vector);
	pfree(vector.entries);
}

/* --- merging ------------------------------------------------------------- */

/* The replica of a list of one dot, if its place takes one byte; or NULL. */
static inline const DotsOrigin *
one_origin(const DotsSide *side, const CrdtReader *dots)
{
	/* set_next() has seen that there are as many bytes */
	if (dots->at[0] != 1 || dots->at[1] >= Min(side->n, 0x80))
		return NULL;
	return &side->origins[dots->at[1]];
}

/*
 * append_simple
 *		Append the current element, if that is simple; tell whether it was.
 *
 * Most elements have one dot, and keep it: one that both sides have, or that the
 * other one hasn't seen.  Then the element is copied as it stands, but for the
 * place of the replica, which may be another one in the joined vector.
 */
static inline bool
append_simple(OrsetMerge *merge)
{
	const SetPair *pair = &merge->pair;
	const SetElement *element = set_pair_element(pair);
	const DotsOrigin *origin = one_origin(pair->sides & SET_A ? &merge->join.a : &merge->join.b,
										  &element->trailer);
	CrdtReader	counter = {element->trailer.at + 2, element->trailer.end};
	CrdtBuffer *out = merge->writer.out;

	if (origin == NULL || origin->place >= 0x80)
		return false;
	if (pair->sides == SET_BOTH)
	{
		const CrdtReader *dots_b = &pair->b.element.trailer;
		CrdtReader	counter_b = {dots_b->at + 2, dots_b->end};
		const DotsOrigin *origin_b = one_origin(&merge->join.b, dots_b);

		if (origin_b == NULL || origin_b->place != origin->place ||
			crdt_compare_bytes(&counter, &counter_b) != 0)
			return false;
	}
	else if (crdt_read_varint(&counter) <= origin->seen)
		return false;

	set_append_element(&merge->writer, element);
	out->data[out->used - crdt_left(&element->trailer) + 1] = (uint8) origin->place;
	return true;
}

/* Append the current element, if any of its dots stays. */
static void
append_merged(OrsetMerge *merge)
{
	SetPair    *pair = &merge->pair;
	CrdtReader	dots_a = pair->a.element.trailer;
	CrdtReader	dots_b = pair->b.element.trailer;

	set_append_payload(&merge->writer, &set_pair_element(pair)->payload);
	if (dots_merge_lists(merge->writer.out, &merge->join, pair->sides & SET_A ? &dots_a : NULL,
						 pair->sides & SET_B ? &dots_b : NULL) == 0)
		set_take_back(&merge->writer);
}

/* Append all elements of which a dot stays. */
static void
merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	DotsVector	vector_a = dots_read_vector(&a);
	DotsVector	vector_b = dots_read_vector(&b);
	OrsetMerge	merge;

	dots_join(out, &merge.join, &vector_a, &vector_b);
	set_pair_open(&merge.pair, a, b, CRDT_ORSET);
	set_begin(&merge.writer, out, merge.pair.a.left + merge.pair.b.left, crdt_left(&a) + crdt_left(&b));
	while (set_pair_next(&merge.pair) != 0)
	{
		if (!append_simple(&merge))
			append_merged(&merge);
	}
	set_end(&merge.writer);
	dots_join_end(&merge.join);
}

/* Append the vector, without any elements. */
static void
reset(CrdtBuffer *out, CrdtReader body)
{
	DotsVector	vector = dots_read_vector(&body);

	dots_append_vector(out, &vector);
	crdt_append_varint(out, 0);
}

/* --- as JSON ------------------------------------------------------------- */

static void
format(StringInfo out, CrdtReader body, int depth)
{
	Vector		clock = vector_read(&body);
	SetCursor	cursor = set_open_elements(body, CRDT_ORSET);
	const char *separator = "";

	appendStringInfoString(out, "{\"clock\": ");
	vector_format(out, &clock);
	appendStringInfoString(out, ", \"elements\": [");
	while (set_next(&cursor))
	{
		appendStringInfo(out, "%s{\"value\": ", separator);
		appendBinaryStringInfo(out, (const char *) cursor.element.payload.at,
							   crdt_left(&cursor.element.payload));
		appendStringInfoString(out, ", \"dots\": ");
		format_dots(out, cursor.element.trailer, &clock);
		appendStringInfoChar(out, '}');
		separator = ", ";
	}
	appendStringInfoString(out, "]}");
	pfree(clock.entries);
}

static void
format_dots(StringInfo out, CrdtReader dots, const Vector *clock)
{
	const char *separator = "";

	appendStringInfoChar(out, '{');
	for (uint64 n = crdt_read_varint(&dots); n > 0; n--)
	{
		Dot			dot = dots_read(&dots, clock->n);

		appendStringInfoString(out, separator);
		crdt_json_append_id(out, clock->entries[dot.index].id);
		appendStringInfo(out, ": " UINT64_FORMAT, dot.counter);
		separator = ", ";
	}
	appendStringInfoChar(out, '}');
}

static void
format_value(StringInfo out, CrdtReader body, int depth)
{
	(void) dots_read_vector(&body);
	set_format(out, set_open_elements(body, CRDT_ORSET), true);
}

static void
parse(CrdtBuffer *out, JsonbValue *json, int depth)
{
	JsonbValue	elements;
	bool		has_elements = false;
	Vector		clock = {0};
	CrdtJsonMembers members;
	SetList		list;

	members = crdt_json_object(json);
	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "clock"))
			clock = vector_parse(&members.value);
		else if (crdt_json_key_is(&members, "elements"))
		{
			elements = members.value;
			has_elements = true;
		}
		else
			crdt_json_unknown_key(&members);
	}
	vector_write(out, &clock);

	set_list_init(&list);
	if (has_elements)
	{
		members = crdt_json_array(&elements);
		while (crdt_json_next(&members))
			parse_element(&list, &members.value, &clock);
	}
	if (set_list_write(out, &list, CRDT_ORSET) > 0)
		crdt_json_error("An element occurs twice.");
}

/* Read {"value": ..., "dots": {...}}. */
static void
parse_element(SetList *list, JsonbValue *json, const Vector *clock)
{
	CrdtJsonMembers members = crdt_json_object(json);
	JsonbValue	value;
	CrdtReader	dots = {NULL, NULL};
	bool		has_value = false;

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "value"))
		{
			value = members.value;
			has_value = true;
		}
		else if (crdt_json_key_is(&members, "dots"))
			dots = parse_dots(&members.value, clock);
		else
			crdt_json_unknown_key(&members);
	}
	if (!has_value || dots.at == NULL)
		crdt_json_error("An element has no value or no dots.");
	set_list_add(list, &value, dots);
}

static CrdtReader
parse_dots(JsonbValue *json, const Vector *clock)
{
	Vector		dots = vector_parse(json);
	CrdtBuffer	out = {.size = CRDT_VARINT_SIZE + (Size) dots.n * DOT_MAX_SIZE};
	CrdtReader	list;

	if (dots.n == 0)
		crdt_json_error("An element has no value or no dots.");
	out.data = palloc(out.size);
	crdt_put_varint(&out, dots.n);
	for (int i = 0; i < dots.n; i++)
		dots_put(&out, dots_parse(clock, dots.entries[i].id, dots.entries[i].count));
	pfree(dots.entries);
	list.at = out.data;
	list.end = out.data + out.used;
	return list;
}

/* --- operations ---------------------------------------------------------- */

/* A list of one dot. */
static CrdtReader
write_dot(Dot dot)
{
	CrdtBuffer	out = {.data = palloc(1 + DOT_MAX_SIZE)};
	CrdtReader	list = {out.data};

	crdt_put_varint(&out, 1);
	dots_put(&out, dot);
	list.end = out.data + out.used;
	return list;
}

/* The elements after an event of a new replica: their dots are at other places. */
static CrdtReader
move_elements(CrdtReader elements, const DotsEvent *event)
{
	SetCursor	cursor = set_open_elements(elements, CRDT_ORSET);
	CrdtBuffer	out = {.data = palloc(1)};
	SetWriter	writer;
	CrdtReader	moved;

	set_begin(&writer, &out, cursor.left, crdt_left(&elements));
	while (set_next(&cursor))
	{
		set_append_payload(&writer, &cursor.element.payload);
		dots_move_list(&out, event, &cursor.element.trailer);
	}
	set_end(&writer);
	moved.at = out.data;
	moved.end = out.data + out.used;
	return moved;
}

/* orset(jsonb): the set of the elements of an array, all added by this replica */
Datum
orset_new(PG_FUNCTION_ARGS)
{
	JsonbValue	array = crdt_json_value(PG_GETARG_JSONB_P(0));
	CrdtReader	no_dots = {NULL, NULL};
	VectorEntry own;
	Vector		vector = {0, &own};
	SetList		list;
	CrdtBuffer	out;

	set_list_init(&list);
	set_list_add_json(&list, &array, no_dots);
	set_list_sort(&list);
	if (list.n > 0)
	{
		own.id = replica_id_own();
		own.count = list.n;
		vector.n = 1;
	}
	for (int i = 0; i < list.n; i++)
	{
		Dot			dot = {0, i + 1};

		list.items[i].trailer = write_dot(dot);
	}
	crdt_start(&out, CRDT_ORSET);
	vector_write(&out, &vector);
	set_list_write(&out, &list, CRDT_ORSET);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* add(orset, jsonb), orset + jsonb */
Datum
orset_add(PG_FUNCTION_ARGS)
{
	SetItem		item = {.payload = crdt_element_from_jsonb(PG_GETARG_JSONB_P(1)),.present = true};
	CrdtState	set;
	DotsVector	vector;
	DotsEvent	event;
	CrdtBuffer	out;
	Datum		expanded;

	if (set_expanded_change(PG_GETARG_DATUM(0), CRDT_ORSET, item.payload, true, &expanded))
		return expanded;
	set = CRDT_GETARG(0, CRDT_ORSET);
	vector = dots_read_vector(&set.body);
	crdt_start(&out, CRDT_ORSET);
	event = dots_add_event(&out, &vector, replica_id_own());
	if (event.is_new_replica && event.dot.index < vector.n)
		set.body = move_elements(set.body, &event);
	item.trailer = write_dot(event.dot);
	set_apply(&out, set_open_elements(set.body, CRDT_ORSET), &item, 1);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* remove(orset, jsonb), orset - jsonb */
Datum
orset_remove(PG_FUNCTION_ARGS)
{
	SetItem		item = {.payload = crdt_element_from_jsonb(PG_GETARG_JSONB_P(1)),.present = false};
	CrdtState	set;
	DotsVector	vector;
	CrdtBuffer	out;
	Datum		expanded;

	if (set_expanded_change(PG_GETARG_DATUM(0), CRDT_ORSET, item.payload, false, &expanded))
		return expanded;
	set = CRDT_GETARG(0, CRDT_ORSET);
	vector = dots_read_vector(&set.body);
	crdt_start(&out, CRDT_ORSET);
	dots_append_vector(&out, &vector);
	set_apply(&out, set_open_elements(set.body, CRDT_ORSET), &item, 1);
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* clear(orset) */
Datum
orset_clear(PG_FUNCTION_ARGS)
{
	CrdtState	set = CRDT_GETARG(0, CRDT_ORSET);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_ORSET);
	reset(&out, set.body);
	PG_RETURN_POINTER(crdt_finish(&out));
}
