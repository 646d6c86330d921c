/*-------------------------------------------------------------------------
 *
 * gset.c
 *	  Set that only grows.
 *
 * Body: elements as in set.h, without trailers.  As JSON: an array of them.
 *
 * See Shapiro et al. 2011, specification 11.
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

PG_FUNCTION_INFO_V1(gset_new);
PG_FUNCTION_INFO_V1(gset_add);

const CrdtRoutine gset_routine = {
	.name = "gset",
	.check = check_body,
	.merge = merge_bodies,
	.to_json = format,
	.from_json = parse,
	.value = format,
};

static const CrdtReader no_trailer = {NULL, NULL};

static void
check_body(CrdtReader body, int depth)
{
	set_check(body, CRDT_GSET, NULL);
}

/* Append the union. */
static void
merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	SetPair		pair;
	SetWriter	writer;

	set_pair_open(&pair, a, b, CRDT_GSET);
	set_begin(&writer, out, pair.a.left + pair.b.left, crdt_left(&a) + crdt_left(&b));
	while (set_pair_next(&pair) != 0)
		set_append_element(&writer, set_pair_element(&pair));
	set_end(&writer);
}

static void
format(StringInfo out, CrdtReader body, int depth)
{
	set_format(out, set_open_elements(body, CRDT_GSET), true);
}

/* Read an array; '{}' is empty too, as with all types. */
static void
parse(CrdtBuffer *out, JsonbValue *json, int depth)
{
	SetList		list;

	set_list_init(&list);
	if (set_json_is_object(json))
	{
		CrdtJsonMembers members = crdt_json_object(json);

		while (crdt_json_next(&members))
			crdt_json_unknown_key(&members);
	}
	else
		set_list_add_json(&list, json, no_trailer);
	set_list_write(out, &list, CRDT_GSET);
}

/* gset(jsonb): the set of the elements of an array */
Datum
gset_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set_of_array(PG_GETARG_JSONB_P(0), CRDT_GSET, no_trailer));
}

/* add(gset, jsonb), gset + jsonb */
Datum
gset_add(PG_FUNCTION_ARGS)
{
	SetItem		item = {.payload = crdt_element_from_jsonb(PG_GETARG_JSONB_P(1)),.present = true};
	CrdtState	set;
	CrdtBuffer	out;
	Datum		expanded;

	if (set_expanded_change(PG_GETARG_DATUM(0), CRDT_GSET, item.payload, true, &expanded))
		return expanded;
	set = CRDT_GETARG(0, CRDT_GSET);
	crdt_start(&out, CRDT_GSET);
	set_apply(&out, set_open(&set), &item, 1);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}
