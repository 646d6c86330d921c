/*-------------------------------------------------------------------------
 *
 * twopset.c
 *	  Set in which what was removed never comes back.
 *
 * Body: elements as in set.h; the trailer is a byte that tells whether the
 * element was removed.  As JSON: {"added": [...], "removed": [...]}, where the
 * former doesn't have what was removed again; an array stands for the former.
 *
 * See Shapiro et al. 2011, specification 12.  Only what is a member can be
 * removed, so all removed elements have been added.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/set.h"
#include "crdt/set_expanded.h"

static void check_body(CrdtReader body, int depth);
static void merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void format(StringInfo out, CrdtReader body, int depth);
static void parse(CrdtBuffer *out, JsonbValue *json, int depth);
static void format_value(StringInfo out, CrdtReader body, int depth);
static Datum change(PG_FUNCTION_ARGS, bool adds);

PG_FUNCTION_INFO_V1(twopset_new);
PG_FUNCTION_INFO_V1(twopset_add);
PG_FUNCTION_INFO_V1(twopset_remove);

const CrdtRoutine twopset_routine = {
	.name = "twopset",
	.check = check_body,
	.merge = merge_bodies,
	.to_json = format,
	.from_json = parse,
	.value = format_value,
};

static const uint8 trailers[] = {TWOPSET_ADDED, TWOPSET_REMOVED};
static const CrdtReader added = {&trailers[0], &trailers[1]};
static const CrdtReader removed = {&trailers[1], &trailers[2]};

static void
check_body(CrdtReader body, int depth)
{
	set_check(body, CRDT_TWOPSET, NULL);
}

/* Append the union; what either side has removed is removed. */
static void
merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	SetPair		pair;
	SetWriter	writer;

	set_pair_open(&pair, a, b, CRDT_TWOPSET);
	set_begin(&writer, out, pair.a.left + pair.b.left, crdt_left(&a) + crdt_left(&b));
	while (set_pair_next(&pair) != 0)
	{
		bool		only_b = pair.sides == SET_BOTH && set_is_live(&pair.a.element, CRDT_TWOPSET);

		set_append_element(&writer, only_b ? &pair.b.element : set_pair_element(&pair));
	}
	set_end(&writer);
}

static void
format(StringInfo out, CrdtReader body, int depth)
{
	SetCursor	cursor = set_open_elements(body, CRDT_TWOPSET);

	appendStringInfoString(out, "{\"added\": ");
	set_format(out, cursor, true);
	appendStringInfoString(out, ", \"removed\": ");
	set_format(out, cursor, false);
	appendStringInfoChar(out, '}');
}

static void
format_value(StringInfo out, CrdtReader body, int depth)
{
	set_format(out, set_open_elements(body, CRDT_TWOPSET), true);
}

static void
parse(CrdtBuffer *out, JsonbValue *json, int depth)
{
	SetList		list;

	set_list_init(&list);
	if (set_json_is_object(json))
	{
		CrdtJsonMembers members = crdt_json_object(json);

		while (crdt_json_next(&members))
		{
			if (crdt_json_key_is(&members, "added"))
				set_list_add_json(&list, &members.value, added);
			else if (crdt_json_key_is(&members, "removed"))
				set_list_add_json(&list, &members.value, removed);
			else
				crdt_json_unknown_key(&members);
		}
	}
	else
		set_list_add_json(&list, json, added);
	set_list_write(out, &list, CRDT_TWOPSET);
}

/* twopset(jsonb): the set of the elements of an array */
Datum
twopset_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set_of_array(PG_GETARG_JSONB_P(0), CRDT_TWOPSET, added));
}

/* Add an element if it isn't there, or mark it as removed if it is. */
static Datum
change(PG_FUNCTION_ARGS, bool adds)
{
	SetItem		item = {crdt_element_from_jsonb(PG_GETARG_JSONB_P(1)), adds ? added : removed, true};
	CrdtState	set;
	SetCursor	cursor;
	SetElement	found;
	CrdtBuffer	out;
	Datum		expanded;

	if (set_expanded_change(PG_GETARG_DATUM(0), CRDT_TWOPSET, item.payload, adds, &expanded))
		return expanded;
	set = CRDT_GETARG(0, CRDT_TWOPSET);
	cursor = set_open(&set);
	crdt_start(&out, CRDT_TWOPSET);
	set_apply(&out, cursor, &item, set_find(cursor, &item.payload, &found) != adds ? 1 : 0);
	PG_RETURN_POINTER(adds ? crdt_finish_mutation(&out) : crdt_finish(&out));
}

/* add(twopset, jsonb), twopset + jsonb: nothing happens if it was removed before */
Datum
twopset_add(PG_FUNCTION_ARGS)
{
	return change(fcinfo, true);
}

/* remove(twopset, jsonb), twopset - jsonb */
Datum
twopset_remove(PG_FUNCTION_ARGS)
{
	return change(fcinfo, false);
}
