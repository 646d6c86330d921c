/*-------------------------------------------------------------------------
 *
 * dotted_values.h
 *	  Values of which several stand side by side if they were set concurrently:
 *	  what multi-value registers and flags are made of.
 *
 * Body: a version vector, the number of its entries first, then the values, each
 * behind the dot (dots.h) of the event that set it, at most one a replica, by
 * ascending index: index, counter, value.  The value of a register is the length
 * and an element as in json.h, that of a flag a byte, 0 or 1.  As JSON:
 *
 *		{"clock": {"a": 2}, "values": [{"value": 1, "dot": ["a", 2]}]}
 *
 * without "clock" and "values" if they are empty.  Setting a value replaces all
 * that are there: they are covered by the vector from then on.  Merging keeps what
 * dots.h says.  One dot has one value; should a clone have given it to two, the one
 * with the larger bytes is kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_DOTTED_VALUES_H
#define CONSISTENCY_CRDT_DOTTED_VALUES_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/dots.h"

typedef enum DottedKind
{
	DOTTED_JSON,				/* elements */
	DOTTED_BOOLEAN,				/* false and true */
	DOTTED_TRUE					/* booleans, but there is no false */
} DottedKind;

typedef struct DottedValue
{
	Dot			dot;
	CrdtReader	value;			/* without the length */
} DottedValue;

/* The values of a body, to be read one by one. */
typedef struct DottedCursor
{
	DottedKind	kind;
	DotsVector	vector;
	CrdtReader	rest;
	DottedValue current;		/* once dotted_next() has said true */
} DottedCursor;

extern CrdtReader dotted_nothing(void);
extern DottedCursor dotted_open(CrdtReader body, DottedKind kind);
extern void dotted_assign(CrdtBuffer *out, CrdtReader body, DottedKind kind, const CrdtReader *value);
extern bool dotted_has(CrdtReader body, bool value);

/* as CrdtRoutine has them */
extern void dotted_check(CrdtReader body, DottedKind kind);
extern void dotted_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b, DottedKind kind);
extern void dotted_reset(CrdtBuffer *out, CrdtReader body);
extern void dotted_to_json(StringInfo out, CrdtReader body, DottedKind kind);
extern void dotted_from_json(CrdtBuffer *out, JsonbValue *json, DottedKind kind);

/* Go on to the next value; false if there are no more. */
static inline bool
dotted_next(DottedCursor *cursor)
{
	uint64		size = 1;

	if (crdt_at_end(&cursor->rest))
		return false;
	cursor->current.dot = dots_read(&cursor->rest, cursor->vector.n);
	if (cursor->kind == DOTTED_JSON)
		size = crdt_read_varint(&cursor->rest);
	cursor->current.value = crdt_read_bytes(&cursor->rest, size);
	return true;
}

#endif							/* CONSISTENCY_CRDT_DOTTED_VALUES_H */
