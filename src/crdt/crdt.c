/*-------------------------------------------------------------------------
 *
 * crdt.c
 *	  States of CRDTs: taking them apart and putting them together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "crdt/crdt.h"

/* bytes to begin a state with */
#define INITIAL_SIZE 64

static void start_sized(CrdtBuffer *out, CrdtType type, Size size);

/* by CrdtType */
static const CrdtRoutine *const routines[CRDT_LAST_TYPE + 1] = {
	[CRDT_GCOUNTER] = &gcounter_routine,
	[CRDT_PNCOUNTER] = &pncounter_routine,
	[CRDT_BCOUNTER] = &bcounter_routine,
	[CRDT_LWW_REGISTER] = &lww_register_routine,
	[CRDT_MV_REGISTER] = &mv_register_routine,
	[CRDT_GSET] = &gset_routine,
	[CRDT_TWOPSET] = &twopset_routine,
	[CRDT_ORSET] = &orset_routine,
	[CRDT_EW_FLAG] = &ew_flag_routine,
	[CRDT_DW_FLAG] = &dw_flag_routine,
	[CRDT_ORMAP] = &ormap_routine,
	[CRDT_VCLOCK] = &vclock_routine,
	[CRDT_ROW_VERSION] = &row_version_routine,
};

/* What the type can do; an error if there is no such type. */
const CrdtRoutine *
crdt_routine(CrdtType type)
{
	if (type <= CRDT_ANY || type > CRDT_LAST_TYPE || routines[type] == NULL)
		crdt_corrupted("its type is unknown");
	return routines[type];
}

/*
 * crdt_state
 *		Take apart a value that isn't compressed nor out of line.
 *
 * It must be of the type expected, or of any.  The body isn't checked.
 */
CrdtState
crdt_state(const struct varlena *value, CrdtType expected)
{
	CrdtState	state;
	const uint8 *data = (const uint8 *) VARDATA_ANY(value);
	Size		size = VARSIZE_ANY_EXHDR(value);

	if (size < CRDT_PREFIX_SIZE)
		crdt_corrupted("it ends too early");
	if (data[0] != CRDT_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of a CRDT has the unknown format %d", data[0]),
				 errhint("A newer version of the extension \"consistency\" may know it.")));
	state.type = (CrdtType) data[1];
	if (expected != CRDT_ANY && state.type != expected)
		crdt_corrupted("it is of another type");
	state.routine = crdt_routine(state.type);
	state.body.at = data + CRDT_PREFIX_SIZE;
	state.body.end = data + size;
	return state;
}

/* Begin a state of the type, of which the body is to be appended. */
void
crdt_start(CrdtBuffer *out, CrdtType type)
{
	start_sized(out, type, INITIAL_SIZE);
}

/* The same where it is known what room to begin with. */
static void
start_sized(CrdtBuffer *out, CrdtType type, Size size)
{
	out->data = palloc(size);
	out->size = size;
	out->used = VARHDRSZ;
	out->data[out->used++] = CRDT_FORMAT;
	out->data[out->used++] = (uint8) type;
}

/* The state that is now complete, as a value. */
struct varlena *
crdt_finish(CrdtBuffer *out)
{
	SET_VARSIZE(out->data, out->used);
	return (struct varlena *) out->data;
}

/*
 * The same for mutators, which keep states well below the largest size; not for
 * those that take something away, as there must be a way back.
 */
struct varlena *
crdt_finish_mutation(CrdtBuffer *out)
{
	if (out->used > CRDT_MAX_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("state of a CRDT would take more than %zu bytes", CRDT_MAX_SIZE),
				 errhint("Spread the data over several rows.")));
	return crdt_finish(out);
}

/* The least upper bound of two states of the same type. */
struct varlena *
crdt_merge_states(const CrdtState *a, const CrdtState *b)
{
	CrdtBuffer	out;

	if (a->type != b->type)
		crdt_corrupted("it is of another type");
	start_sized(&out, a->type, Min(VARHDRSZ + CRDT_PREFIX_SIZE + crdt_left(&a->body) + crdt_left(&b->body) + CRDT_LARGER_SPARE, MaxAllocSize));
	a->routine->merge(&out, a->body, b->body);
	return crdt_finish(&out);
}
