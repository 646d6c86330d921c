/*-------------------------------------------------------------------------
 *
 * map.h
 *	  The bytes of maps: their entries, one after the other.
 *
 * Body: a vector (see dots.h), the number of entries, then the entries,
 * ascending by the bytes of their key, then by type:
 *
 *		length of the key | key | type (1 byte) | list of dots |
 *		length of the state | body of the state, as its type has it
 *
 * A dot is a put().  An entry without dots was removed, and is kept: its state,
 * reset, tells what the removal had seen from what it hadn't.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_MAP_H
#define CONSISTENCY_CRDT_MAP_H

#include "crdt/crdt.h"
#include "crdt/dots.h"

typedef struct MapEntry
{
	CrdtReader	key;			/* text */
	CrdtType	type;
	const CrdtRoutine *routine; /* one that can reset */
	bool		is_live;		/* has dots */
	CrdtReader	dots;			/* the list */
	CrdtReader	state;			/* a body of the type */
	CrdtReader	bytes;			/* all of the entry */
} MapEntry;

/* A map that is being read. */
typedef struct MapReader
{
	DotsVector	vector;
	uint64		left;			/* entries that are to come, as the map says */
	CrdtReader	rest;			/* their bytes */
} MapReader;

/* A number that goes ahead of what isn't written yet. */
typedef struct MapNumber
{
	Size		at;
	Size		size;			/* bytes that were set aside for it */
} MapNumber;

/* reading */
extern MapReader map_open(CrdtReader body);
extern bool map_next(MapReader *map, MapEntry *entry);
extern const CrdtRoutine *map_routine(CrdtType type);
extern int	map_compare_entries(const MapEntry *a, const MapEntry *b);
extern int	map_depth(CrdtReader body);

/* writing: an entry is its key, its dots, its state */
extern MapNumber map_set_aside(CrdtBuffer *out, uint64 guess);
extern void map_fill_in(CrdtBuffer *out, MapNumber number, uint64 value);
extern void map_append_key(CrdtBuffer *out, const MapEntry *entry);
extern void map_append_state(CrdtBuffer *out, const CrdtReader *state);
extern void map_append_merged(CrdtBuffer *out, const MapEntry *entry, const CrdtReader *with);
extern void map_remove(CrdtBuffer *out, CrdtReader body, const CrdtReader *key);

/* what may be in a map */
extern CrdtType map_type_of_name(const char *name, int len);
extern void map_check_key(const CrdtReader *key);
extern void map_type_error(const char *name) pg_attribute_noreturn();
extern void map_depth_error(void) pg_attribute_noreturn();

#endif							/* CONSISTENCY_CRDT_MAP_H */
