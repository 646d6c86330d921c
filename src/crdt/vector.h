/*-------------------------------------------------------------------------
 *
 * vector.h
 *	  Counts by replica: version vectors, and grow-only counters.
 *
 * Ids ascend, each occurs once, and no count is 0: an id that is missing has
 * counted nothing.  In bytes each entry is an id and a varint; how many there
 * are is said by what surrounds them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_VECTOR_H
#define CONSISTENCY_CRDT_VECTOR_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/wire.h"

/* the fewest bytes that an entry takes */
#define VECTOR_ENTRY_SIZE (CRDT_ID_SIZE + 1)

typedef struct VectorEntry
{
	uint64		id;				/* of the replica, > 0 */
	uint64		count;			/* 1 .. CRDT_MAX_COUNT */
} VectorEntry;

typedef struct Vector
{
	int			n;
	VectorEntry *entries;		/* palloc'd */
} Vector;

/* in bytes, all that a reader has: as CrdtRoutine has them */
extern void vector_check(CrdtReader body, int depth);
extern void vector_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
extern void vector_increment(CrdtBuffer *out, CrdtReader body, uint64 id, uint64 by);
extern void vector_to_json(StringInfo out, CrdtReader body, int depth);
extern void vector_from_json(CrdtBuffer *out, JsonbValue *json, int depth);

/* in memory, and in bytes as part of something else: the number of entries first */
extern Vector vector_read(CrdtReader *reader);
extern Vector vector_read_checked(CrdtReader *reader);
extern void vector_write(CrdtBuffer *out, const Vector *vector);
extern Vector vector_parse(JsonbValue *json);
extern void vector_format(StringInfo out, const Vector *vector);
extern int	vector_find(const Vector *vector, uint64 id);
extern Vector vector_join(const Vector *a, const Vector *b);
extern bool vector_within(const Vector *a, const Vector *b);
extern Vector vector_count_up(const Vector *vector, uint64 id, int *index);

#endif							/* CONSISTENCY_CRDT_VECTOR_H */
