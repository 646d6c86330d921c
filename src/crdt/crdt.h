/*-------------------------------------------------------------------------
 *
 * crdt.h
 *	  Conflict-free replicated data types as column types: what they share.
 *
 * Each type is a join semilattice whose elements ("states") are kept as
 * canonical bytes: equal states have equal bytes.  Merging is the join, the
 * least upper bound; mutators only ever go up.  See Shapiro, Preguiça, Baquero,
 * Zawirski: "A comprehensive study of convergent and commutative replicated
 * data types" (INRIA RR-7506, 2011).
 *
 * A state is a varlena:
 *
 *		varlena header | format (1 byte) | type (1 byte) | body
 *
 * The format is CRDT_FORMAT; an unknown one is an error before anything else is
 * looked at.  The type is a CrdtType, so that states nested in a map, and bytes
 * that reach the wrong function, are known for what they are.  The body is
 * described at the top of each type's file, all of them in docs/crdt-format.md.
 *
 * What a type has to provide is a CrdtRoutine: pure functions from bodies to a
 * body, without catalog, shared memory or clock.  Everything that all types do
 * alike (input and output, operators, aggregate) is built on these in
 * functions.c and merge_aggregate.c.
 *
 * Functions that read a body never trust it: CrdtReader checks each step, so
 * that a damaged state is an error and not a crash.  Merging two valid states
 * can't fail, but for running out of memory (see CRDT_MAX_SIZE).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_H
#define CONSISTENCY_CRDT_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/wire.h"

#define CRDT_FORMAT 1

/* On disk: never renumber. */
typedef enum CrdtType
{
	CRDT_ANY = 0,				/* in calls: whichever it is */
	CRDT_GCOUNTER = 1,
	CRDT_PNCOUNTER = 2,
	CRDT_BCOUNTER = 3,
	CRDT_LWW_REGISTER = 4,
	CRDT_MV_REGISTER = 5,
	CRDT_GSET = 6,
	CRDT_TWOPSET = 7,
	CRDT_ORSET = 8,
	CRDT_EW_FLAG = 9,
	CRDT_DW_FLAG = 10,
	CRDT_ORMAP = 11,
	CRDT_VCLOCK = 12,
	CRDT_ROW_VERSION = 13
} CrdtType;

#define CRDT_LAST_TYPE CRDT_ROW_VERSION

/* what stands between the varlena header and the body */
#define CRDT_PREFIX_SIZE 2

/*
 * A mutator refuses to make a state larger than this, in bytes.  PostgreSQL's
 * own limit is four times as large, so that merging states of several replicas
 * that grew apart stays possible.
 */
#define CRDT_MAX_SIZE ((Size) 256 * 1024 * 1024)

/* the largest element of a set, value of a register, key of a map, in bytes */
#define CRDT_MAX_ELEMENT ((Size) 16 * 1024 * 1024)

/* how deep maps may be nested */
#define CRDT_MAX_DEPTH 16

/* What a type can do.  Bodies come as readers that stand at their beginning. */
typedef struct CrdtRoutine
{
	const char *name;			/* of the SQL type */

	/*
	 * Where bodies are nothing but entries of a replica id and numbers, by
	 * ascending id, and the join is the larger one of each: how many numbers.
	 * Else 0.
	 */
	int			counts;

	/*
	 * The type of which the constructor makes a value, to be named where its
	 * argument was taken for a state.  NULL if there is none, or both work.
	 */
	const char *made_of;

	/* Raise an error unless the body is canonical, completely. */
	void		(*check) (CrdtReader body, int depth);

	/* Append the least upper bound of two states. */
	void		(*merge) (CrdtBuffer *out, CrdtReader a, CrdtReader b);

	/*
	 * Append the state with everything undone that this state has seen, and
	 * nothing else: what is merged in later counts if it wasn't seen.  NULL
	 * if the type can't do that, as those that only grow.
	 */
	void		(*reset) (CrdtBuffer *out, CrdtReader body);

	/* Append the state as JSON text. */
	void		(*to_json) (StringInfo out, CrdtReader body, int depth);

	/* Append the state that a JSON value describes; raise an error if none. */
	void		(*from_json) (CrdtBuffer *out, JsonbValue *json, int depth);

	/* Append the value that users see, as JSON text. */
	void		(*value) (StringInfo out, CrdtReader body, int depth);
} CrdtRoutine;

extern const CrdtRoutine gcounter_routine;
extern const CrdtRoutine pncounter_routine;
extern const CrdtRoutine bcounter_routine;
extern const CrdtRoutine lww_register_routine;
extern const CrdtRoutine mv_register_routine;
extern const CrdtRoutine gset_routine;
extern const CrdtRoutine twopset_routine;
extern const CrdtRoutine orset_routine;
extern const CrdtRoutine ew_flag_routine;
extern const CrdtRoutine dw_flag_routine;
extern const CrdtRoutine ormap_routine;
extern const CrdtRoutine vclock_routine;
extern const CrdtRoutine row_version_routine;

/* A state, taken apart. */
typedef struct CrdtState
{
	CrdtType	type;
	const CrdtRoutine *routine;
	CrdtReader	body;
} CrdtState;

extern const CrdtRoutine *crdt_routine(CrdtType type);
extern CrdtState crdt_state(const struct varlena *value, CrdtType expected);
extern void crdt_start(CrdtBuffer *out, CrdtType type);
extern struct varlena *crdt_finish(CrdtBuffer *out);
extern struct varlena *crdt_finish_mutation(CrdtBuffer *out);
extern struct varlena *crdt_merge_states(const CrdtState *a, const CrdtState *b);

/* The state in an argument; unpacked, of any alignment, and expanded no more. */
#define CRDT_GETARG(n, type) crdt_state(PG_GETARG_VARLENA_PP(n), (type))

#endif							/* CONSISTENCY_CRDT_H */
