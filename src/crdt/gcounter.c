/*-------------------------------------------------------------------------
 *
 * gcounter.c
 *	  Grow-only counter: each replica counts for itself, the value is the sum.
 *
 * Body: entries as in vector.h, to the end.  As JSON: {"id": count, ...}.
 *
 * See Shapiro et al. 2011, specification 6.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/counter.h"
#include "crdt/crdt.h"
#include "crdt/replica_id.h"
#include "crdt/vector.h"

static void value_to_json(StringInfo out, CrdtReader body, int depth);
static CounterValue sum(CrdtReader body);

PG_FUNCTION_INFO_V1(gcounter_new);
PG_FUNCTION_INFO_V1(gcounter_increment);
PG_FUNCTION_INFO_V1(gcounter_value);
PG_FUNCTION_INFO_V1(gcounter_int8);

const CrdtRoutine gcounter_routine = {
	.name = "gcounter",
	.made_of = "bigint",
	.counts = 1,
	.check = vector_check,
	.merge = vector_merge,
	.to_json = vector_to_json,
	.from_json = vector_from_json,
	.value = value_to_json,
};

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	CounterValue result = sum(body);

	counter_to_json(out, &result);
}

static CounterValue
sum(CrdtReader body)
{
	CounterValue result = {0};

	while (!crdt_at_end(&body))
	{
		(void) crdt_read_id(&body);
		counter_sum_add(&result.up, crdt_read_varint(&body));
	}
	return result;
}

/* gcounter(bigint): a counter that this replica has brought to the value */
Datum
gcounter_new(PG_FUNCTION_ARGS)
{
	uint64		amount = counter_amount(PG_GETARG_INT64(0));
	CrdtReader	nothing = {NULL, NULL};
	CrdtBuffer	out;

	crdt_start(&out, CRDT_GCOUNTER);
	vector_increment(&out, nothing, replica_id_own(), amount);
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* increment(gcounter, bigint), gcounter + bigint */
Datum
gcounter_increment(PG_FUNCTION_ARGS)
{
	CrdtState	counter = CRDT_GETARG(0, CRDT_GCOUNTER);
	uint64		amount = counter_amount(PG_GETARG_INT64(1));
	CrdtBuffer	out;

	crdt_start(&out, CRDT_GCOUNTER);
	vector_increment(&out, counter.body, replica_id_own(), amount);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* value(gcounter), gcounter::numeric */
Datum
gcounter_value(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_GCOUNTER).body);

	PG_RETURN_NUMERIC(counter_numeric(&result));
}

/* gcounter::bigint */
Datum
gcounter_int8(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_GCOUNTER).body);

	PG_RETURN_INT64(counter_int64(&result));
}
