/*-------------------------------------------------------------------------
 *
 * map_functions.c
 *	  Map from text to other conflict-free types: its SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/map.h"
#include "crdt/replica_id.h"

static CrdtType nested_type(FunctionCallInfo fcinfo, int arg);
static CrdtType type_of_oid(Oid type, Oid schema);
static CrdtReader key_argument(FunctionCallInfo fcinfo, int arg);
static bool find_live(CrdtReader body, const CrdtReader *key);
static bool next_key(MapReader *map, CrdtReader *key);
static void append_old(CrdtBuffer *out, const DotsEvent *event, MapEntry *entry);
static void append_put(CrdtBuffer *out, const DotsEvent *event, const MapEntry *put, const MapEntry *old);
static void put(CrdtBuffer *out, CrdtReader body, const MapEntry *put);

PG_FUNCTION_INFO_V1(ormap_get);
PG_FUNCTION_INFO_V1(ormap_put);
PG_FUNCTION_INFO_V1(ormap_remove);
PG_FUNCTION_INFO_V1(ormap_clear);
PG_FUNCTION_INFO_V1(ormap_has_key);
PG_FUNCTION_INFO_V1(ormap_keys);
PG_FUNCTION_INFO_V1(ormap_cardinality);

/* --- arguments ----------------------------------------------------------- */

/*
 * nested_type
 *		Which of our types has an argument that may be of any?
 *
 * An error if it is none that can be in a map.  What was found is kept for the
 * calls that follow.
 */
static CrdtType
nested_type(FunctionCallInfo fcinfo, int arg)
{
	FmgrInfo   *function = fcinfo->flinfo;
	CrdtType   *known = (CrdtType *) function->fn_extra;

	if (known == NULL)
	{
		Oid			oid = get_fn_expr_argtype(function, arg);
		CrdtType	type = type_of_oid(oid, get_func_namespace(function->fn_oid));

		if (type == CRDT_ANY)
			map_type_error(format_type_be(oid));
		known = MemoryContextAlloc(function->fn_mcxt, sizeof(CrdtType));
		*known = type;
		function->fn_extra = known;
	}
	return *known;
}

/* Types are ours if they are where our functions are, and have one of our names. */
static CrdtType
type_of_oid(Oid type, Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	CrdtType	result = CRDT_ANY;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

		if (form->typnamespace == schema)
			result = map_type_of_name(NameStr(form->typname), strlen(NameStr(form->typname)));
		ReleaseSysCache(tuple);
	}
	return result;
}

static CrdtReader
key_argument(FunctionCallInfo fcinfo, int arg)
{
	text	   *value = PG_GETARG_TEXT_PP(arg);
	CrdtReader	key;

	key.at = (const uint8 *) VARDATA_ANY(value);
	key.end = key.at + VARSIZE_ANY_EXHDR(value);
	return key;
}

/* --- reading ------------------------------------------------------------- */

/*
 * get(ormap, text, anyelement): the state under a key, of the third one's type
 *
 * Where there never was any it is the state of one who hasn't seen anything, and
 * after a removal what remains: both are what changes have to begin with.
 */
Datum
ormap_get(PG_FUNCTION_ARGS)
{
	MapEntry	wanted,
				entry;
	MapReader	map;
	CrdtBuffer	out;
	int			order = -1;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	wanted.type = nested_type(fcinfo, 2);
	wanted.key = key_argument(fcinfo, 1);
	map = map_open(CRDT_GETARG(0, CRDT_ORMAP).body);
	while (order < 0 && map_next(&map, &entry))
		order = map_compare_entries(&entry, &wanted);

	crdt_start(&out, wanted.type);
	if (order == 0)
		crdt_append_rest(&out, &entry.state);
	else
	{
		Datum		nothing = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
		JsonbValue	json = crdt_json_value(DatumGetJsonbP(nothing));

		crdt_routine(wanted.type)->from_json(&out, &json, 0);
	}
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* Is something there under the key? */
static bool
find_live(CrdtReader body, const CrdtReader *key)
{
	MapReader	map = map_open(body);
	MapEntry	entry;
	int			order = -1;

	while (order <= 0 && map_next(&map, &entry))
	{
		order = crdt_compare_bytes(&entry.key, key);
		if (order == 0 && entry.is_live)
			return true;
	}
	return false;
}

/* has_key(ormap, text), ormap ? text */
Datum
ormap_has_key(PG_FUNCTION_ARGS)
{
	CrdtReader	key = key_argument(fcinfo, 1);

	PG_RETURN_BOOL(find_live(CRDT_GETARG(0, CRDT_ORMAP).body, &key));
}

/*
 * The next key that something is under, each once; false if there are no more.
 * *key is the one before, {NULL} at first.
 */
static bool
next_key(MapReader *map, CrdtReader *key)
{
	MapEntry	entry;

	while (map_next(map, &entry))
	{
		if (entry.is_live && (key->at == NULL || crdt_compare_bytes(key, &entry.key) != 0))
		{
			*key = entry.key;
			return true;
		}
	}
	return false;
}

/* cardinality(ormap): the number of keys */
Datum
ormap_cardinality(PG_FUNCTION_ARGS)
{
	MapReader	map = map_open(CRDT_GETARG(0, CRDT_ORMAP).body);
	CrdtReader	key = {NULL};
	int64		n = 0;

	while (next_key(&map, &key))
		n++;
	PG_RETURN_INT64(n);
}

/* keys(ormap): the keys, in the order of their bytes */
Datum
ormap_keys(PG_FUNCTION_ARGS)
{
	typedef struct Keys
	{
		MapReader	map;
		CrdtReader	last;
	} Keys;
	FuncCallContext *call;
	Keys	   *keys;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		keys = palloc0(sizeof(Keys));
		keys->map = map_open(crdt_state(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)), CRDT_ORMAP).body);
		call->user_fctx = keys;
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	keys = (Keys *) call->user_fctx;
	if (!next_key(&keys->map, &keys->last))
		SRF_RETURN_DONE(call);
	SRF_RETURN_NEXT(call, PointerGetDatum(cstring_to_text_with_len((const char *) keys->last.at,
																   crdt_left(&keys->last))));
}

/* --- changing ------------------------------------------------------------ */

/* Append an entry as it was, in a map with a new event. */
static void
append_old(CrdtBuffer *out, const DotsEvent *event, MapEntry *entry)
{
	if (!event->is_new_replica)
		crdt_append_rest(out, &entry->bytes);
	else
	{
		map_append_key(out, entry);
		dots_move_list(out, event, &entry->dots);
		map_append_state(out, &entry->state);
	}
}

/* Append what is put, and was at that event; old is NULL if it is new. */
static void
append_put(CrdtBuffer *out, const DotsEvent *event, const MapEntry *put, const MapEntry *old)
{
	map_append_key(out, put);
	crdt_reserve(out, CRDT_VARINT_SIZE + DOT_MAX_SIZE);
	crdt_put_varint(out, 1);
	dots_put(out, event->dot);
	if (old != NULL)
		map_append_merged(out, old, &put->state);
	else
		map_append_state(out, &put->state);
}

/* Append the map with an entry merged in, as an event of this replica. */
static void
put(CrdtBuffer *out, CrdtReader body, const MapEntry *put)
{
	MapReader	map = map_open(body);
	DotsEvent	event;
	MapNumber	number;
	MapEntry	entry;
	uint64		n = 0;
	bool		done = false;

	crdt_reserve(out, crdt_left(&body) + crdt_left(&put->key) + crdt_left(&put->state));
	event = dots_add_event(out, &map.vector, replica_id_own());
	number = map_set_aside(out, map.left);
	for (; map_next(&map, &entry); n++)
	{
		int			order = map_compare_entries(&entry, put);

		if (order > 0 && !done)
		{
			append_put(out, &event, put, NULL);
			n++;
		}
		if (order == 0)
			append_put(out, &event, put, &entry);
		else
			append_old(out, &event, &entry);
		done |= order >= 0;
	}
	if (!done)
	{
		append_put(out, &event, put, NULL);
		n++;
	}
	map_fill_in(out, number, n);
}

/* put(ormap, text, anyelement): merge a state into what is under a key */
Datum
ormap_put(PG_FUNCTION_ARGS)
{
	CrdtState	map = CRDT_GETARG(0, CRDT_ORMAP);
	MapEntry	entry;
	CrdtBuffer	out;

	entry.type = nested_type(fcinfo, 2);
	entry.key = key_argument(fcinfo, 1);
	entry.state = CRDT_GETARG(2, entry.type).body;
	map_check_key(&entry.key);
	if (entry.type == CRDT_ORMAP && map_depth(entry.state) >= CRDT_MAX_DEPTH)
		map_depth_error();

	crdt_start(&out, CRDT_ORMAP);
	put(&out, map.body, &entry);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* remove(ormap, text), ormap - text */
Datum
ormap_remove(PG_FUNCTION_ARGS)
{
	CrdtState	map = CRDT_GETARG(0, CRDT_ORMAP);
	CrdtReader	key = key_argument(fcinfo, 1);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_ORMAP);
	map_remove(&out, map.body, &key);
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* clear(ormap): remove all keys */
Datum
ormap_clear(PG_FUNCTION_ARGS)
{
	CrdtState	map = CRDT_GETARG(0, CRDT_ORMAP);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_ORMAP);
	map_remove(&out, map.body, NULL);
	PG_RETURN_POINTER(crdt_finish(&out));
}
