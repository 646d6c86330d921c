/*-------------------------------------------------------------------------
 *
 * ew_flag.c
 *	  Flag that is on if it was switched on and off concurrently.
 *
 * Body and JSON: as in dotted_values.h; there is a value, true, for each time it
 * was switched on that no one has undone yet.  Switching off undoes what was seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/dotted_values.h"

static void check(CrdtReader body, int depth);
static void merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void write_json(StringInfo out, CrdtReader body, int depth);
static void read_json(CrdtBuffer *out, JsonbValue *json, int depth);
static void value_to_json(StringInfo out, CrdtReader body, int depth);
static struct varlena *set(CrdtReader body, bool on);

PG_FUNCTION_INFO_V1(ew_flag_new);
PG_FUNCTION_INFO_V1(ew_flag_enable);
PG_FUNCTION_INFO_V1(ew_flag_disable);
PG_FUNCTION_INFO_V1(ew_flag_value);

const CrdtRoutine ew_flag_routine = {
	.name = "ew_flag",
	.made_of = "boolean",
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
	dotted_check(body, DOTTED_TRUE);
}

static void
merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	dotted_merge(out, a, b, DOTTED_TRUE);
}

static void
write_json(StringInfo out, CrdtReader body, int depth)
{
	dotted_to_json(out, body, DOTTED_TRUE);
}

static void
read_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	dotted_from_json(out, json, DOTTED_TRUE);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	appendStringInfoString(out, dotted_has(body, true) ? "true" : "false");
}

/* The flag that this replica has switched. */
static struct varlena *
set(CrdtReader body, bool on)
{
	static const uint8 one = 1;
	CrdtReader	value = {&one, &one + 1};
	CrdtBuffer	out;

	crdt_start(&out, CRDT_EW_FLAG);
	if (on)
		dotted_assign(&out, body, DOTTED_TRUE, &value);
	else
		dotted_reset(&out, body);
	return crdt_finish_mutation(&out);
}

/* ew_flag(boolean) */
Datum
ew_flag_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(dotted_nothing(), PG_GETARG_BOOL(0)));
}

/* enable(ew_flag) */
Datum
ew_flag_enable(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(CRDT_GETARG(0, CRDT_EW_FLAG).body, true));
}

/* disable(ew_flag) */
Datum
ew_flag_disable(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(CRDT_GETARG(0, CRDT_EW_FLAG).body, false));
}

/* value(ew_flag), ew_flag::boolean */
Datum
ew_flag_value(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dotted_has(CRDT_GETARG(0, CRDT_EW_FLAG).body, true));
}
