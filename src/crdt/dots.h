/*-------------------------------------------------------------------------
 *
 * dots.h
 *	  Dots: which single events a state still holds, of all that it has seen.
 *
 * A body begins with a version vector: of each replica, how many of its events
 * are known.  A dot is one event: the place of the replica in the vector, and the
 * number of the event, so 1 <= counter <= the count at that place.  An event that
 * the vector covers but of which there is no dot has been undone: this way nothing
 * needs to be kept for what was removed.  See Almeida, Shoker, Baquero: "Delta
 * state replicated data types" (JPDC 111, 2018) and Bieniusa et al.: "An
 * optimized conflict-free replicated set" (INRIA RR-8083, 2012).
 *
 * Merging keeps a dot if both sides have it, or if one has it and the other one's
 * vector doesn't cover it.  If each side had at most one dot of a replica (in one
 * list of dots), so has the result: of two the lower one is covered, by the
 * vector that the higher one came with.
 *
 * All of this works on bytes, without allocating anything for few replicas.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_DOTS_H
#define CONSISTENCY_CRDT_DOTS_H

#include "crdt/vector.h"
#include "crdt/wire.h"

/* up to so many replicas a side nothing is allocated for joining */
#define DOTS_FEW 8

/* the most that the place and the counter of a dot take */
#define DOT_MAX_SIZE (2 * CRDT_VARINT_SIZE)

/* A version vector as it stands in a body. */
typedef struct DotsVector
{
	int			n;
	CrdtReader	entries;		/* as in vector.h, without the number */
} DotsVector;

typedef struct Dot
{
	int			index;			/* of the replica, in the vector */
	uint64		counter;
} Dot;

/* What became of the vector when an event of one replica was added. */
typedef struct DotsEvent
{
	Dot			dot;			/* the new one */
	int			n;				/* replicas afterwards */
	bool		is_new_replica; /* then what stood there has moved up */
} DotsEvent;

/* A replica of one side when two vectors are joined. */
typedef struct DotsOrigin
{
	uint64		seen;			/* how many of its events the other side knows */
	int			place;			/* in the joined vector */
} DotsOrigin;

typedef struct DotsSide
{
	int			n;
	DotsOrigin *origins;
} DotsSide;

/* Points into itself, so not to be copied. */
typedef struct DotsJoin
{
	DotsSide	a;
	DotsSide	b;
	DotsOrigin *allocated;		/* NULL if few suffices */
	DotsOrigin	few[2 * DOTS_FEW];
} DotsJoin;

extern DotsVector dots_read_vector(CrdtReader *body);
extern void dots_append_vector(CrdtBuffer *out, const DotsVector *vector);
extern DotsEvent dots_add_event(CrdtBuffer *out, const DotsVector *vector, uint64 replica);
extern void dots_join(CrdtBuffer *out, DotsJoin *join, const DotsVector *a, const DotsVector *b);
extern void dots_join_end(DotsJoin *join);

/* lists: the number of dots, then the dots by ascending index, one an index */
extern int	dots_merge_lists(CrdtBuffer *out, const DotsJoin *join, CrdtReader *a, CrdtReader *b);
extern void dots_move_list(CrdtBuffer *out, const DotsEvent *event, CrdtReader *list);
extern int	dots_check_list(const Vector *vector, CrdtReader *list);

extern void dots_check(const Vector *vector, CrdtReader *reader, Dot *last);
extern Dot	dots_parse(const Vector *vector, uint64 replica, uint64 counter);
extern Dot	dots_from_json(const Vector *vector, JsonbValue *json);

/* The next dot, of a vector with n entries. */
static inline Dot
dots_read(CrdtReader *reader, int n)
{
	uint64		index = crdt_read_varint(reader);
	Dot			dot;

	if (unlikely(index >= (uint64) n))
		crdt_corrupted("a dot is of no replica");
	dot.index = (int) index;
	dot.counter = crdt_read_varint(reader);
	return dot;
}

/* DOT_MAX_SIZE bytes were reserved. */
static inline void
dots_put(CrdtBuffer *out, Dot dot)
{
	crdt_put_varint(out, dot.index);
	crdt_put_varint(out, dot.counter);
}

/* Does a dot that only this side has survive? */
static inline bool
dots_survives(const DotsSide *side, Dot dot)
{
	return dot.counter > side->origins[dot.index].seen;
}

/* The same event where the vectors are joined. */
static inline Dot
dots_place(const DotsSide *side, Dot dot)
{
	dot.index = side->origins[dot.index].place;
	return dot;
}

/* The same old event once another one has been added. */
static inline Dot
dots_move(const DotsEvent *event, Dot dot)
{
	if (event->is_new_replica && dot.index >= event->dot.index)
		dot.index++;
	return dot;
}

#endif							/* CONSISTENCY_CRDT_DOTS_H */
