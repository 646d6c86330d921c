/*-------------------------------------------------------------------------
 *
 * model.h
 *	  What the CRDTs should do, told once more and in another way.
 *
 * A history is a log of operations.  Each has an author, and remembers which
 * operations its author had seen.  A replica is nothing but the set of operations
 * that it has seen.  From the log and such a set follow the value (model_value.c)
 * and whether one set knows no more than another (model_order.c), by the types'
 * specifications, which are about operations that had or hadn't seen each other:
 * see Burckhardt, Gotsman, Yang, Zawirski: "Replicated data types: specification,
 * verification, optimality" (POPL 2014).
 *
 * Nothing here is shared with src/crdt: no code, no header, no idea of states.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "lib/stringinfo.h"

/* The types, ordered as the values of maps take them. */
typedef enum ModelType
{
	GCOUNTER,
	PNCOUNTER,
	BCOUNTER,
	LWW_REGISTER,
	MV_REGISTER,
	GSET,
	TWOPSET,
	ORSET,
	EW_FLAG,
	DW_FLAG,
	ORMAP,
	VCLOCK,
	ROW_VERSION
} ModelType;

#define MODEL_TYPES (ROW_VERSION + 1)

typedef enum Kind
{
	INCREMENT,					/* by amount */
	DECREMENT,
	TRANSFER,					/* amount, to a replica */
	RESET,
	ASSIGN,						/* element */
	IMPORT,						/* merge what was made elsewhere: of
								 * lww_register an assignment, of bcounter a
								 * bound */
	CLEAR,
	ENABLE,
	DISABLE,
	ADD,						/* element */
	REMOVE,
	TOUCH,						/* put a key's state back as it is */
	REMOVE_KEY,					/* key */
	WRITE,						/* a whole row */
	WRITE_COLUMN,				/* key */
	WRITE_FIRST,				/* key, where the first write counts */
	DELETE_SEEN,				/* a row, but for changes not seen */
	NEXT_LENGTH					/* a row comes or goes */
} Kind;

/* Sets of operations and of replicas are bits. */
typedef uint64 OpSet;

#define MAX_OPERATIONS 64
#define MAX_REPLICAS 5
#define MAX_NESTING 4

#define OP(i) (UINT64CONST(1) << (i))

/* Where something is: below which keys of which nested maps. */
typedef struct Step
{
	int			key;			/* of element_keys */
	ModelType	type;			/* of what is below it */
} Step;

typedef struct Place
{
	ModelType	type;			/* of what is there */
	int			depth;			/* steps of the path */
	Step		path[MAX_NESTING];
} Place;

typedef struct Operation
{
	int			author;
	OpSet		seen;			/* by the author before, without itself */
	Place		place;			/* what is changed */
	Kind		kind;
	int64		amount;
	int			element;		/* of the elements */
	int			spelling;		/* of the element */
	int			key;
	int			target;			/* the replica that rights go to */
	int64		stamp;			/* of an assignment or a write */
	uint64		stamp_id;		/* its replica id */
	int			length;			/* of the row's version */
	int			event;			/* which change a write says it is; 0: none */
} Operation;

typedef struct Log
{
	ModelType	type;
	int			replicas;
	uint64		ids[MAX_REPLICAS];
	int64		bound;			/* bcounter: of all replicas from the start */
	int			n;
	Operation	operations[MAX_OPERATIONS];
} Log;

extern const char *const model_type_names[MODEL_TYPES];

/* model.c: how operations and places hang together */
extern OpSet model_acting_on(const Log *log, const Place *place);
extern OpSet model_passing(const Log *log, const Place *place);
extern OpSet model_resets(const Log *log, const Place *place);
extern OpSet model_of_kind(const Log *log, OpSet set, Kind kind);
extern OpSet model_by(const Log *log, OpSet set, int author);
extern OpSet model_seen_by(const Log *log, OpSet set);
extern int	model_next(OpSet *set);
extern Place model_root(const Log *log);
extern Place model_child(const Place *place, Step step);
extern Step model_step(const Log *log, int operation, const Place *place);
extern OpSet model_assignments(const Log *log, const Place *place, OpSet seen);
extern OpSet model_overwritten(const Log *log, const Place *place, OpSet seen);
extern void model_describe(StringInfo out, const Log *log, int operation);

/* model_order.c */
extern bool model_within(const Log *log, const Place *place, OpSet a, OpSet b);

/* model_value.c */
typedef struct Assignment
{
	int64		stamp;			/* 0: never assigned */
	uint64		id;
	bool		none;			/* it was reset */
	int			element;
} Assignment;

extern void model_value(StringInfo out, const Log *log, const Place *place, OpSet seen);
extern Assignment model_assignment(const Log *log, const Place *place, OpSet seen);
extern bool model_later(const Assignment *a, const Assignment *b);
extern OpSet model_present(const Log *log, const Place *place, OpSet seen);
extern __int128 model_sum(const Log *log, OpSet set);
extern int64 model_bound(const Log *log, const Place *place, OpSet seen);
extern __int128 model_rights(const Log *log, const Place *place, OpSet seen, int replica);
extern int	model_expected_error(const Log *log, const Operation *operation);

/* model_row.c */
extern int	model_length(const Log *log, OpSet seen);
extern OpSet model_row_known(const Log *log, OpSet seen);
extern void model_row_state(StringInfo out, const Log *log, OpSet seen);
extern void model_row_value(StringInfo out, const Log *log, OpSet seen);

#endif							/* FUZZ_MODEL_H */
