/*-------------------------------------------------------------------------
 *
 * mv_register.c
 *	  Register that keeps all values that were assigned concurrently.
 *
 * Body and JSON: as in dotted_values.h.  Users see a set: what several replicas
 * have assigned alike is one value.
 *
 * See Shapiro et al. 2011, specification 10.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/tuplestore.h"

#include "crdt/crdt.h"
#include "crdt/dotted_values.h"
#include "crdt/json.h"

/* The values that users see, each once, by ascending bytes. */
typedef struct DistinctValues
{
	int			n;
	CrdtReader *values;			/* palloc'd */
} DistinctValues;

static void check(CrdtReader body, int depth);
static void merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void write_json(StringInfo out, CrdtReader body, int depth);
static void read_json(CrdtBuffer *out, JsonbValue *json, int depth);
static void value_to_json(StringInfo out, CrdtReader body, int depth);
static DistinctValues values_of(CrdtReader body);
static int	compare_values(const void *a, const void *b);
static struct varlena *assign(CrdtReader body, Jsonb *value);

PG_FUNCTION_INFO_V1(mv_register_new);
PG_FUNCTION_INFO_V1(mv_register_assign);
PG_FUNCTION_INFO_V1(mv_register_clear);
PG_FUNCTION_INFO_V1(mv_register_elements);
PG_FUNCTION_INFO_V1(mv_register_cardinality);

const CrdtRoutine mv_register_routine = {
	.name = "mv_register",
	.made_of = "jsonb",
	.check = check,
	.merge = merge,
	.reset = dotted_reset,
	.to_json = write_json,
	.from_json = read_json,
	.value = value_to_json,
};

static void
check(CrdtReader body, int depth)
{
	dotted_check(body, DOTTED_JSON);
}

static void
merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	dotted_merge(out, a, b, DOTTED_JSON);
}

static void
write_json(StringInfo out, CrdtReader body, int depth)
{
	dotted_to_json(out, body, DOTTED_JSON);
}

static void
read_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	dotted_from_json(out, json, DOTTED_JSON);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	DistinctValues values = values_of(body);

	appendStringInfoChar(out, '[');
	for (int i = 0; i < values.n; i++)
	{
		appendStringInfoString(out, i > 0 ? ", " : "");
		appendBinaryStringInfo(out, (const char *) values.values[i].at, crdt_left(&values.values[i]));
	}
	appendStringInfoChar(out, ']');
	pfree(values.values);
}

static DistinctValues
values_of(CrdtReader body)
{
	DottedCursor cursor = dotted_open(body, DOTTED_JSON);
	DistinctValues result = {0};
	int			n = 0;

	/* no more than replicas, if the state is sound */
	result.values = palloc_extended(Max(cursor.vector.n, 1) * sizeof(CrdtReader), MCXT_ALLOC_HUGE);
	while (dotted_next(&cursor))
	{
		if (n == cursor.vector.n)
			crdt_corrupted("there are more values than replicas");
		result.values[n++] = cursor.current.value;
	}
	qsort(result.values, n, sizeof(CrdtReader), compare_values);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || compare_values(&result.values[i], &result.values[result.n - 1]) != 0)
			result.values[result.n++] = result.values[i];
	}
	return result;
}

static int
compare_values(const void *a, const void *b)
{
	return crdt_compare_bytes(a, b);
}

/* The register to which this replica has assigned a value. */
static struct varlena *
assign(CrdtReader body, Jsonb *value)
{
	CrdtReader	element = crdt_element_from_jsonb(value);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_MV_REGISTER);
	dotted_assign(&out, body, DOTTED_JSON, &element);
	return crdt_finish_mutation(&out);
}

/* mv_register(jsonb): a register with a value */
Datum
mv_register_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(assign(dotted_nothing(), PG_GETARG_JSONB_P(0)));
}

/* assign(mv_register, jsonb): in place of all values that are seen */
Datum
mv_register_assign(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(assign(CRDT_GETARG(0, CRDT_MV_REGISTER).body, PG_GETARG_JSONB_P(1)));
}

/* clear(mv_register): without the values that are seen */
Datum
mv_register_clear(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_MV_REGISTER);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_MV_REGISTER);
	dotted_reset(&out, state.body);
	PG_RETURN_POINTER(crdt_finish(&out));
}

/* cardinality(mv_register): how many values there are */
Datum
mv_register_cardinality(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(values_of(CRDT_GETARG(0, CRDT_MV_REGISTER).body).n);
}

/* elements(mv_register): the values as rows */
Datum
mv_register_elements(PG_FUNCTION_ARGS)
{
	DistinctValues values = values_of(CRDT_GETARG(0, CRDT_MV_REGISTER).body);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < values.n; i++)
	{
		Datum		value = JsonbPGetDatum(crdt_element_to_jsonb(&values.values[i]));
		bool		isnull = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
		pfree(DatumGetPointer(value));
	}
	return (Datum) 0;
}
