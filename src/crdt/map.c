/*-------------------------------------------------------------------------
 *
 * map.c
 *	  The bytes of maps: their entries, one after the other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "crdt/map.h"

static CrdtReader read_counted(CrdtReader *reader);
static CrdtReader read_dots(MapReader *map, bool *any);
static int	depth_within(CrdtReader body, int depth);
static Size varint_size(uint64 value);
static void append_reset(CrdtBuffer *out, const MapEntry *entry);

/* --- reading ------------------------------------------------------------- */

/* Begin to read a map. */
MapReader
map_open(CrdtReader body)
{
	MapReader	map;

	map.rest = body;
	map.vector = dots_read_vector(&map.rest);
	map.left = crdt_read_varint(&map.rest);
	return map;
}

/* Read the next entry; false if there is none. */
bool
map_next(MapReader *map, MapEntry *entry)
{
	if (map->left == 0)
		return false;
	map->left--;
	entry->bytes.at = map->rest.at;
	entry->key = read_counted(&map->rest);
	entry->type = (CrdtType) *crdt_read_bytes(&map->rest, 1).at;
	entry->routine = map_routine(entry->type);
	entry->dots = read_dots(map, &entry->is_live);
	entry->state = read_counted(&map->rest);
	entry->bytes.end = map->rest.at;
	return true;
}

/* Bytes that their number goes ahead of. */
static CrdtReader
read_counted(CrdtReader *reader)
{
	uint64		size = crdt_read_varint(reader);

	return crdt_read_bytes(reader, size);
}

static CrdtReader
read_dots(MapReader *map, bool *any)
{
	CrdtReader	dots = {map->rest.at};
	uint64		n = crdt_read_varint(&map->rest);

	*any = n > 0;
	while (n-- > 0)
		(void) dots_read(&map->rest, map->vector.n);
	dots.end = map->rest.at;
	return dots;
}

/* What a nested type can do. */
const CrdtRoutine *
map_routine(CrdtType type)
{
	const CrdtRoutine *routine = crdt_routine(type);

	if (routine->reset == NULL)
		crdt_corrupted("a type is in a map that can't be there");
	return routine;
}

/* The order of entries: by key, then by type. */
int
map_compare_entries(const MapEntry *a, const MapEntry *b)
{
	int			result = crdt_compare_bytes(&a->key, &b->key);

	return result != 0 ? result : (int) a->type - (int) b->type;
}

/* How many maps are within each other, counted from 1 up to one too many. */
int
map_depth(CrdtReader body)
{
	return depth_within(body, 1);
}

static int
depth_within(CrdtReader body, int depth)
{
	int			deepest = depth;
	MapReader	map;
	MapEntry	entry;

	if (depth > CRDT_MAX_DEPTH)
		return depth;
	map = map_open(body);
	while (map_next(&map, &entry))
	{
		if (entry.type == CRDT_ORMAP)
			deepest = Max(deepest, depth_within(entry.state, depth + 1));
	}
	return deepest;
}

/* --- writing ------------------------------------------------------------- */

static Size
varint_size(uint64 value)
{
	return pg_leftmost_one_pos64(value | 1) / 7 + 1;
}

/* Leave room for a number that will probably be as long as the guess. */
MapNumber
map_set_aside(CrdtBuffer *out, uint64 guess)
{
	MapNumber	number = {out->used, varint_size(guess)};

	crdt_reserve(out, number.size);
	out->used += number.size;
	return number;
}

/* Now it is known: write it there, and move what follows if it has to be. */
void
map_fill_in(CrdtBuffer *out, MapNumber number, uint64 value)
{
	Size		size = varint_size(value);
	Size		from = number.at + number.size;
	Size		end = out->used - number.size + size;

	if (size != number.size)
	{
		crdt_reserve(out, size);
		memmove(out->data + number.at + size, out->data + from, out->used - from);
	}
	out->used = number.at;
	crdt_put_varint(out, value);
	out->used = end;
}

/* Append key and type. */
void
map_append_key(CrdtBuffer *out, const MapEntry *entry)
{
	Size		size = crdt_left(&entry->key);

	crdt_reserve(out, size + CRDT_VARINT_SIZE + 1);
	crdt_put_varint(out, size);
	crdt_put_bytes(out, entry->key.at, size);
	out->data[out->used++] = (uint8) entry->type;
}

/* Append a nested state, as it is. */
void
map_append_state(CrdtBuffer *out, const CrdtReader *state)
{
	crdt_append_varint(out, crdt_left(state));
	crdt_append_rest(out, state);
}

/* Append the least upper bound of the entry's state and another of its type. */
void
map_append_merged(CrdtBuffer *out, const MapEntry *entry, const CrdtReader *with)
{
	MapNumber	size;
	Size		start;

	if (crdt_compare_bytes(&entry->state, with) == 0)
	{
		map_append_state(out, with);
		return;
	}
	size = map_set_aside(out, Max(crdt_left(&entry->state), crdt_left(with)));
	start = out->used;
	entry->routine->merge(out, entry->state, *with);
	map_fill_in(out, size, out->used - start);
}

/* Append the entry's state, reset. */
static void
append_reset(CrdtBuffer *out, const MapEntry *entry)
{
	MapNumber	size = map_set_aside(out, crdt_left(&entry->state));
	Size		start = out->used;

	entry->routine->reset(out, entry->state);
	map_fill_in(out, size, out->used - start);
}

/*
 * map_remove
 *		Append the map without a key, or without any if the key is NULL.
 *
 * What goes is what this map has seen: its vector stays, and says which puts that
 * is; so does what is left of the nested states.
 */
void
map_remove(CrdtBuffer *out, CrdtReader body, const CrdtReader *key)
{
	MapReader	map = map_open(body);
	MapEntry	entry;

	/* what is damaged may be nested deeper than what we make */
	check_stack_depth();
	crdt_reserve(out, crdt_left(&body));
	crdt_put_bytes(out, body.at, map.rest.at - body.at);
	while (map_next(&map, &entry))
	{
		if (key != NULL && crdt_compare_bytes(&entry.key, key) != 0)
			crdt_append_rest(out, &entry.bytes);
		else
		{
			map_append_key(out, &entry);
			crdt_append_varint(out, 0);
			append_reset(out, &entry);
		}
	}
}

/* --- what may be in a map ------------------------------------------------ */

/* The type of this name, CRDT_ANY if there is none that can be in a map. */
CrdtType
map_type_of_name(const char *name, int len)
{
	for (int type = CRDT_ANY + 1; type <= CRDT_LAST_TYPE; type++)
	{
		const CrdtRoutine *routine = crdt_routine((CrdtType) type);

		if (routine->reset != NULL && strlen(routine->name) == len && memcmp(routine->name, name, len) == 0)
			return (CrdtType) type;
	}
	return CRDT_ANY;
}

/* Raise an error if the key, a text, is too long. */
void
map_check_key(const CrdtReader *key)
{
	if (crdt_left(key) > CRDT_MAX_ELEMENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("key of a map would take more than %zu bytes", CRDT_MAX_ELEMENT)));
}

void
map_type_error(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("type \"%s\" cannot be in a map", name),
			 errdetail("Removing a key has to reset what is under it, and not every type can be reset."),
			 errhint("These can be in a map: pncounter, lww_register, mv_register, orset, ew_flag, dw_flag, ormap.")));
}

void
map_depth_error(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("maps would be nested too deeply"),
			 errdetail("At most %d maps can be within each other.", CRDT_MAX_DEPTH)));
}
