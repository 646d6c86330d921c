/*-------------------------------------------------------------------------
 *
 * merge_aggregate.c
 *	  The aggregate merge(): the least upper bound of many states.
 *
 * Merging one by one into a result that grows would take time in the square of
 * its size.  So partial results are kept on a stack on which each is at least
 * twice as large as the one above it, and are merged when they are not: as in a
 * merge sort.  States of a few bytes, such as counters, never get beyond the
 * top, and are merged there between two buffers without allocating anything.
 *
 * States that are nothing but counts by replica are looked up by replica instead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"

#include "crdt/counts.h"
#include "crdt/crdt.h"

/* Merged at once below this, bytes. */
#define SMALL 1024

/* More than log2 of the largest value. */
#define STACK_SIZE 32

typedef struct MergeState
{
	CrdtType	type;
	MemoryContext context;		/* of everything here */
	Counts	   *counts;			/* all that was merged, or NULL: see below */
	CrdtBuffer	spare;			/* the next merge writes here */
	int			n;
	CrdtBuffer	stack[STACK_SIZE];	/* [n - 1] is the top, the smallest */
} MergeState;

static MergeState *get_state(FunctionCallInfo fcinfo, int arg, MemoryContext *context);
static MergeState *create(MemoryContext context, CrdtType type);
static CrdtState state_of(const CrdtBuffer *buffer);
static void begin(MergeState *merge, CrdtBuffer *buffer);
static void add(MergeState *merge, const CrdtState *state);
static CrdtState result(MergeState *merge);
static void merge_top(MergeState *merge, const CrdtState *state);
static void settle(MergeState *merge, Size ratio);

PG_FUNCTION_INFO_V1(crdt_merge_accum);
PG_FUNCTION_INFO_V1(crdt_merge_combine);
PG_FUNCTION_INFO_V1(crdt_merge_serialize);
PG_FUNCTION_INFO_V1(crdt_merge_deserialize);
PG_FUNCTION_INFO_V1(crdt_merge_final);

/*
 * The transition state in an argument, NULL if nothing was merged yet; and the
 * context where it has to be.
 */
static MergeState *
get_state(FunctionCallInfo fcinfo, int arg, MemoryContext *context)
{
	if (!AggCheckCallContext(fcinfo, context))
		elog(ERROR, "function of the aggregate merge() called outside an aggregate");
	return PG_ARGISNULL(arg) ? NULL : (MergeState *) PG_GETARG_POINTER(arg);
}

static MergeState *
create(MemoryContext context, CrdtType type)
{
	MergeState *merge = MemoryContextAllocZero(context, sizeof(MergeState));

	merge->type = type;
	merge->context = context;
	if (crdt_routine(type)->counts > 0)
		merge->counts = counts_create(context, crdt_routine(type)->counts);
	return merge;
}

static CrdtState
state_of(const CrdtBuffer *buffer)
{
	CrdtState	state;

	state.type = (CrdtType) buffer->data[VARHDRSZ + 1];
	state.routine = crdt_routine(state.type);
	state.body.at = buffer->data + VARHDRSZ + CRDT_PREFIX_SIZE;
	state.body.end = buffer->data + buffer->used;
	return state;
}

/*
 * Empty a buffer for the next state.  Buffers stay in our context when they grow;
 * whatever else merging allocates belongs to the caller's.
 */
static void
begin(MergeState *merge, CrdtBuffer *buffer)
{
	if (buffer->data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(merge->context);

		crdt_start(buffer, merge->type);
		MemoryContextSwitchTo(old);
	}
	buffer->used = VARHDRSZ + CRDT_PREFIX_SIZE;
}

/* Merge one state more; it needs to last no longer than the call. */
static void
add(MergeState *merge, const CrdtState *state)
{
	if (state->type != merge->type)
		crdt_corrupted("it is of another type");
	if (merge->counts != NULL)
	{
		counts_add(merge->counts, state->body);
		return;
	}
	if (merge->n > 0 && merge->stack[merge->n - 1].used < SMALL)
		merge_top(merge, state);
	else
	{
		Assert(merge->n < STACK_SIZE);
		begin(merge, &merge->stack[merge->n]);
		crdt_append_rest(&merge->stack[merge->n], &state->body);
		merge->n++;
	}
	settle(merge, 2);
}

/* Merge a state into the one on top. */
static void
merge_top(MergeState *merge, const CrdtState *state)
{
	CrdtBuffer *top = &merge->stack[merge->n - 1];
	CrdtBuffer	merged;

	begin(merge, &merge->spare);
	state->routine->merge(&merge->spare, state_of(top).body, state->body);
	merged = merge->spare;
	merge->spare = *top;
	*top = merged;
}

/* Merge from the top while what is below isn't ratio times as large; 0: all. */
static void
settle(MergeState *merge, Size ratio)
{
	while (merge->n > 1 &&
		   (ratio == 0 || merge->stack[merge->n - 2].used < ratio * merge->stack[merge->n - 1].used))
	{
		CrdtBuffer *top = &merge->stack[--merge->n];
		CrdtState	state = state_of(top);

		merge_top(merge, &state);
		/* room that grew large isn't kept for what is small */
		pfree(top->data);
		memset(top, 0, sizeof(CrdtBuffer));
	}
}

/* All that was merged.  It lasts until more is. */
static CrdtState
result(MergeState *merge)
{
	if (merge->counts != NULL)
	{
		begin(merge, &merge->stack[0]);
		counts_write(&merge->stack[0], merge->counts);
	}
	else
		settle(merge, 0);
	return state_of(&merge->stack[0]);
}

Datum
crdt_merge_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MergeState *merge = get_state(fcinfo, 0, &context);

	if (!PG_ARGISNULL(1))
	{
		CrdtState	state = CRDT_GETARG(1, CRDT_ANY);

		if (merge == NULL)
			merge = create(context, state.type);
		add(merge, &state);
	}
	if (merge == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(merge);
}

Datum
crdt_merge_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MergeState *merge = get_state(fcinfo, 0, &context);
	MergeState *other = get_state(fcinfo, 1, &context);

	if (other != NULL)
	{
		CrdtState	state = result(other);

		if (merge == NULL)
			merge = create(context, state.type);
		add(merge, &state);
	}
	if (merge == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(merge);
}

/* What was merged so far, for another process: a state of its type. */
Datum
crdt_merge_serialize(PG_FUNCTION_ARGS)
{
	MergeState *merge = get_state(fcinfo, 0, NULL);
	StringInfoData message;
	CrdtState	state = result(merge);

	pq_begintypsend(&message);
	pq_sendbytes(&message, (const char *) state.body.at - CRDT_PREFIX_SIZE,
				 crdt_left(&state.body) + CRDT_PREFIX_SIZE);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
crdt_merge_deserialize(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_ANY);
	MergeState *merge;

	if (!AggCheckCallContext(fcinfo, NULL))
		elog(ERROR, "crdt_merge_deserialize called outside an aggregate");
	merge = create(CurrentMemoryContext, state.type);
	add(merge, &state);
	PG_RETURN_POINTER(merge);
}

Datum
crdt_merge_final(PG_FUNCTION_ARGS)
{
	MergeState *merge = get_state(fcinfo, 0, NULL);
	CrdtState	state;
	CrdtBuffer	out;

	if (merge == NULL)
		PG_RETURN_NULL();
	state = result(merge);
	crdt_start(&out, merge->type);
	crdt_append_rest(&out, &state.body);
	PG_RETURN_POINTER(crdt_finish(&out));
}
