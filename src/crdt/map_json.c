/*-------------------------------------------------------------------------
 *
 * map_json.c
 *	  Maps as JSON: their state, and their value.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "crdt/json.h"
#include "crdt/map.h"
#include "crdt/map_json.h"

/* An entry as JSON describes it. */
typedef struct Described
{
	MapEntry	entry;			/* key and type */
	JsonbValue	dots;
	JsonbValue	state;
} Described;

static void check_depth(int depth);
static void format_entry(StringInfo out, const Vector *vector, MapEntry *entry, int depth);
static void format_dots(StringInfo out, const Vector *vector, CrdtReader dots);
static Described *parse_entries(JsonbValue *json, int *n);
static Described parse_entry(JsonbValue *json);
static CrdtReader parse_key(const JsonbValue *json);
static CrdtType parse_type(const JsonbValue *json);
static int	compare_described(const void *a, const void *b);
static void write_entry(CrdtBuffer *out, const Vector *clock, Described *described, int depth);
static void write_dots(CrdtBuffer *out, const Vector *clock, JsonbValue *json);

/* --- writing JSON -------------------------------------------------------- */

/* What is damaged may be nested deeper than what we make. */
static void
check_depth(int depth)
{
	if (depth >= CRDT_MAX_DEPTH)
		crdt_corrupted("maps are nested too deeply");
}

/* Append the state. */
void
map_format(StringInfo out, CrdtReader body, int depth)
{
	CrdtReader	beginning = body;
	MapReader	map = map_open(body);
	Vector		vector = vector_read(&beginning);
	const char *separator = "";
	MapEntry	entry;

	check_depth(depth);
	appendStringInfoString(out, "{\"clock\": ");
	vector_format(out, &vector);
	appendStringInfoString(out, ", \"entries\": [");
	while (map_next(&map, &entry))
	{
		appendStringInfoString(out, separator);
		format_entry(out, &vector, &entry, depth);
		separator = ", ";
	}
	appendStringInfoString(out, "]}");
	pfree(vector.entries);
}

static void
format_entry(StringInfo out, const Vector *vector, MapEntry *entry, int depth)
{
	appendStringInfoString(out, "{\"key\": ");
	crdt_json_append_string(out, &entry->key);
	appendStringInfo(out, ", \"type\": \"%s\", \"dots\": ", entry->routine->name);
	format_dots(out, vector, entry->dots);
	appendStringInfoString(out, ", \"state\": ");
	entry->routine->to_json(out, entry->state, depth + 1);
	appendStringInfoChar(out, '}');
}

static void
format_dots(StringInfo out, const Vector *vector, CrdtReader dots)
{
	uint64		n = crdt_read_varint(&dots);

	appendStringInfoChar(out, '{');
	for (uint64 i = 0; i < n; i++)
	{
		Dot			dot = dots_read(&dots, vector->n);

		appendStringInfoString(out, i > 0 ? ", " : "");
		crdt_json_append_id(out, vector->entries[dot.index].id);
		appendStringInfo(out, ": " UINT64_FORMAT, dot.counter);
	}
	appendStringInfoChar(out, '}');
}

/*
 * Append what users see: the values by key.  Where a key has several types, that
 * of the lowest number.
 */
void
map_format_value(StringInfo out, CrdtReader body, int depth)
{
	MapReader	map = map_open(body);
	MapEntry	entry;
	CrdtReader	last;
	bool		any = false;

	check_depth(depth);
	appendStringInfoChar(out, '{');
	while (map_next(&map, &entry))
	{
		if (!entry.is_live || (any && crdt_compare_bytes(&last, &entry.key) == 0))
			continue;
		appendStringInfoString(out, any ? ", " : "");
		crdt_json_append_string(out, &entry.key);
		appendStringInfoString(out, ": ");
		entry.routine->value(out, entry.state, depth + 1);
		last = entry.key;
		any = true;
	}
	appendStringInfoChar(out, '}');
}

/* --- reading JSON -------------------------------------------------------- */

/* Append the state that JSON describes. */
void
map_parse(CrdtBuffer *out, JsonbValue *json, int depth)
{
	CrdtJsonMembers members;
	Vector		clock = {0};
	Described  *described = NULL;
	int			n = 0;

	if (depth >= CRDT_MAX_DEPTH)
		map_depth_error();
	members = crdt_json_object(json);
	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "clock"))
			clock = vector_parse(&members.value);
		else if (crdt_json_key_is(&members, "entries"))
			described = parse_entries(&members.value, &n);
		else
			crdt_json_unknown_key(&members);
	}
	vector_write(out, &clock);
	crdt_append_varint(out, n);
	for (int i = 0; i < n; i++)
		write_entry(out, &clock, &described[i], depth);
}

/* The entries in their order, each once. */
static Described *
parse_entries(JsonbValue *json, int *n)
{
	CrdtJsonMembers elements = crdt_json_array(json);
	int			room = 8;
	Described  *described = palloc(room * sizeof(Described));

	for (*n = 0; crdt_json_next(&elements); (*n)++)
	{
		if (*n == room)
			described = repalloc_huge(described, (room *= 2) * sizeof(Described));
		described[*n] = parse_entry(&elements.value);
	}
	qsort(described, *n, sizeof(Described), compare_described);
	for (int i = 1; i < *n; i++)
	{
		const CrdtReader *key = &described[i].entry.key;

		if (compare_described(&described[i - 1], &described[i]) == 0)
			crdt_json_error("Key \"%.*s\" occurs twice with type %s.",
							pg_mbcliplen((const char *) key->at, crdt_left(key), 64), (const char *) key->at,
							crdt_routine(described[i].entry.type)->name);
	}
	return described;
}

static Described
parse_entry(JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);
	Described	described;
	int			known = 0;

	for (; crdt_json_next(&members); known++)
	{
		if (crdt_json_key_is(&members, "key"))
			described.entry.key = parse_key(&members.value);
		else if (crdt_json_key_is(&members, "type"))
			described.entry.type = parse_type(&members.value);
		else if (crdt_json_key_is(&members, "dots"))
			described.dots = members.value;
		else if (crdt_json_key_is(&members, "state"))
			described.state = members.value;
		else
			crdt_json_unknown_key(&members);
	}
	/* an object has no member twice */
	if (known < 4)
		crdt_json_error("An entry needs the members \"key\", \"type\", \"dots\" and \"state\".");
	return described;
}

static CrdtReader
parse_key(const JsonbValue *json)
{
	CrdtReader	key;

	if (json->type != jbvString)
		crdt_json_error("A key must be a string.");
	key.at = (const uint8 *) json->val.string.val;
	key.end = key.at + json->val.string.len;
	map_check_key(&key);
	return key;
}

static CrdtType
parse_type(const JsonbValue *json)
{
	CrdtType	type;

	if (json->type != jbvString)
		crdt_json_error("A type must be a string.");
	type = map_type_of_name(json->val.string.val, json->val.string.len);
	if (type == CRDT_ANY)
		map_type_error(pnstrdup(json->val.string.val, pg_mbcliplen(json->val.string.val, json->val.string.len, NAMEDATALEN)));
	return type;
}

static int
compare_described(const void *a, const void *b)
{
	return map_compare_entries(&((const Described *) a)->entry, &((const Described *) b)->entry);
}

static void
write_entry(CrdtBuffer *out, const Vector *clock, Described *described, int depth)
{
	MapNumber	size;
	Size		start;

	map_append_key(out, &described->entry);
	write_dots(out, clock, &described->dots);
	size = map_set_aside(out, 0);
	start = out->used;
	crdt_routine(described->entry.type)->from_json(out, &described->state, depth + 1);
	map_fill_in(out, size, out->used - start);
}

/* Append the list of dots, which the clock must cover. */
static void
write_dots(CrdtBuffer *out, const Vector *clock, JsonbValue *json)
{
	Vector		dots = vector_parse(json);

	crdt_reserve(out, CRDT_VARINT_SIZE + (Size) dots.n * DOT_MAX_SIZE);
	crdt_put_varint(out, dots.n);
	for (int i = 0; i < dots.n; i++)
		dots_put(out, dots_parse(clock, dots.entries[i].id, dots.entries[i].count));
	pfree(dots.entries);
}
