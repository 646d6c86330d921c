/*-------------------------------------------------------------------------
 *
 * set.h
 *	  Sets: what grow-only, two-phase and observed-remove sets have in common.
 *
 * The elements of a set stand behind their number, ascending by the bytes of
 * their payload, which is canonical JSON text (json.h):
 *
 *		number | (length | payload | trailer) ...
 *
 * The trailer is what the type says about an element: nothing in a gset, one
 * byte in a twopset (1: removed), a list of dots in an orset (dots.h).  In an
 * orset a vector goes ahead of the number.
 *
 * Reading goes by a SetCursor, or by a SetPair over two sets at once; writing by
 * a SetWriter.  An operation is a list of SetItems that set_apply() lays over
 * a set: an insertion, another trailer, or the element's end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_SET_H
#define CONSISTENCY_CRDT_SET_H

#include "utils/array.h"

#include "crdt/crdt.h"
#include "crdt/dots.h"
#include "crdt/vector.h"

/* the trailers of a twopset, as a byte */
#define TWOPSET_ADDED 0
#define TWOPSET_REMOVED 1

/* --- reading ------------------------------------------------------------- */

/* One element, as it stands in a set: payload and trailer follow each other. */
typedef struct SetElement
{
	const uint8 *start;			/* of all its bytes, which end with the
								 * trailer */
	CrdtReader	payload;
	CrdtReader	trailer;
} SetElement;

typedef struct SetCursor
{
	CrdtReader	rest;			/* the elements ahead */
	uint64		left;			/* how many these are */
	CrdtType	type;
	SetElement	element;		/* valid once set_next() said true */
} SetCursor;

/* sides of a pair */
#define SET_A 1
#define SET_B 2
#define SET_BOTH (SET_A | SET_B)

/* Two sets of one type, walked in step. */
typedef struct SetPair
{
	SetCursor	a;
	SetCursor	b;
	bool		more_a;			/* does the cursor stand at an element? */
	bool		more_b;
	int			sides;			/* where the current element is */
} SetPair;

extern CrdtState set_state(const struct varlena *value, CrdtType expected);
extern SetCursor set_open(const CrdtState *state);
extern SetCursor set_open_elements(CrdtReader elements, CrdtType type);
extern bool set_find(SetCursor cursor, const CrdtReader *payload, SetElement *found);
extern void set_check(CrdtReader elements, CrdtType type, const Vector *vector);
extern void set_format(StringInfo out, SetCursor cursor, bool live);

/* Go past a trailer. */
static inline void
set_skip_trailer(CrdtReader *reader, CrdtType type)
{
	if (type == CRDT_ORSET)
	{
		for (uint64 n = crdt_read_varint(reader); n > 0; n--)
		{
			crdt_skip_varint(reader);
			crdt_skip_varint(reader);
		}
	}
	else if (type == CRDT_TWOPSET)
		(void) crdt_read_bytes(reader, 1);
}

/* Go on to the next element; false if there is none. */
static inline bool
set_next(SetCursor *cursor)
{
	SetElement *element = &cursor->element;

	if (cursor->left == 0)
		return false;
	cursor->left--;
	element->start = cursor->rest.at;
	element->payload = crdt_read_bytes(&cursor->rest, crdt_read_varint(&cursor->rest));
	element->trailer.at = cursor->rest.at;
	set_skip_trailer(&cursor->rest, cursor->type);
	element->trailer.end = cursor->rest.at;
	return true;
}

/* Is the element a member?  Only a twopset keeps those that are not. */
static inline bool
set_is_live(const SetElement *element, CrdtType type)
{
	return type != CRDT_TWOPSET || *element->trailer.at == TWOPSET_ADDED;
}

static inline void
set_pair_open(SetPair *pair, CrdtReader a, CrdtReader b, CrdtType type)
{
	pair->a = set_open_elements(a, type);
	pair->b = set_open_elements(b, type);
	pair->more_a = pair->more_b = true;
	pair->sides = SET_BOTH;
}

/*
 * Go on to the smallest element not seen yet.  Returns the sides that have it,
 * where the cursors then stand at it; 0 at the end.
 */
static inline int
set_pair_next(SetPair *pair)
{
	int			order;

	if (pair->sides & SET_A)
		pair->more_a = set_next(&pair->a);
	if (pair->sides & SET_B)
		pair->more_b = set_next(&pair->b);
	if (!pair->more_a || !pair->more_b)
		return pair->sides = (pair->more_a ? SET_A : 0) | (pair->more_b ? SET_B : 0);
	order = crdt_compare_bytes(&pair->a.element.payload, &pair->b.element.payload);
	return pair->sides = (order <= 0 ? SET_A : 0) | (order >= 0 ? SET_B : 0);
}

/* The current element, as side a has it if both do. */
static inline const SetElement *
set_pair_element(const SetPair *pair)
{
	return pair->sides & SET_A ? &pair->a.element : &pair->b.element;
}

/* --- writing ------------------------------------------------------------- */

typedef struct SetWriter
{
	CrdtBuffer *out;
	uint64		n;				/* elements appended */
	Size		last_at;		/* where the last set_append_payload() began */
	Size		number_at;		/* offset of the number of elements in out */
	int			number_size;	/* bytes left for it */
} SetWriter;

extern void set_begin(SetWriter *writer, CrdtBuffer *out, uint64 most, Size bytes);
extern void set_end(SetWriter *writer);

/* Append n elements as they stand in another set of the type. */
static inline void
set_append_run(SetWriter *writer, const uint8 *from, const uint8 *to, uint64 n)
{
	writer->n += n;
	crdt_append_bytes(writer->out, from, to - from);
}

/* Append one element as it stands in another set of the type. */
static inline void
set_append_element(SetWriter *writer, const SetElement *element)
{
	set_append_run(writer, element->start, element->trailer.end, 1);
}

/*
 * Append an element, of which the trailer is then to be appended to out.
 * set_take_back() undoes this.
 */
static inline void
set_append_payload(SetWriter *writer, const CrdtReader *payload)
{
	Size		size = crdt_left(payload);

	writer->n++;
	writer->last_at = writer->out->used;
	crdt_reserve(writer->out, CRDT_VARINT_SIZE + size);
	crdt_put_varint(writer->out, size);
	crdt_put_bytes(writer->out, payload->at, size);
}

/* Take back the element for which set_append_payload() was called last. */
static inline void
set_take_back(SetWriter *writer)
{
	writer->n--;
	writer->out->used = writer->last_at;
}

/* Append an element. */
static inline void
set_append(SetWriter *writer, const CrdtReader *payload, const CrdtReader *trailer)
{
	set_append_payload(writer, payload);
	crdt_append_rest(writer->out, trailer);
}

/* --- operations ---------------------------------------------------------- */

/* What is to become of one element. */
typedef struct SetItem
{
	CrdtReader	payload;
	CrdtReader	trailer;
	bool		present;		/* false: it has no place in the set any more */
} SetItem;

/* Many of them, in any order until they are sorted. */
typedef struct SetList
{
	int			n;
	int			size;			/* allocated */
	SetItem    *items;
	MemoryContext scratch;		/* reset with each element */
} SetList;

extern bool set_json_is_object(const JsonbValue *json);
extern void set_apply(CrdtBuffer *out, SetCursor base, const SetItem *items, int n);

extern void set_list_init(SetList *list);
extern SetItem *set_list_add(SetList *list, JsonbValue *value, CrdtReader trailer);
extern void set_list_add_json(SetList *list, JsonbValue *array, CrdtReader trailer);
extern void set_list_add_array(SetList *list, ArrayType *array);
extern int	set_list_sort(SetList *list);
extern int	set_list_write(CrdtBuffer *out, SetList *list, CrdtType type);
extern struct varlena *set_of_array(Jsonb *array, CrdtType type, CrdtReader trailer);
extern int	set_list_count(const SetList *list, SetCursor cursor, int enough);

#endif							/* CONSISTENCY_CRDT_SET_H */
