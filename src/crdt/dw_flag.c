/*-------------------------------------------------------------------------
 *
 * dw_flag.c
 *	  Flag that is off if it was switched on and off concurrently.
 *
 * Body and JSON: as in dotted_values.h; there is a value, true or false, for each
 * time it was switched that no one has replaced yet.  It is on if all of them are
 * true, and there is one.
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
static bool is_on(CrdtReader body);
static struct varlena *set(CrdtReader body, bool on);

PG_FUNCTION_INFO_V1(dw_flag_new);
PG_FUNCTION_INFO_V1(dw_flag_enable);
PG_FUNCTION_INFO_V1(dw_flag_disable);
PG_FUNCTION_INFO_V1(dw_flag_value);

const CrdtRoutine dw_flag_routine = {
	.name = "dw_flag",
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
	dotted_check(body, DOTTED_BOOLEAN);
}

static void
merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	dotted_merge(out, a, b, DOTTED_BOOLEAN);
}

static void
write_json(StringInfo out, CrdtReader body, int depth)
{
	dotted_to_json(out, body, DOTTED_BOOLEAN);
}

static void
read_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	dotted_from_json(out, json, DOTTED_BOOLEAN);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	appendStringInfoString(out, is_on(body) ? "true" : "false");
}

static bool
is_on(CrdtReader body)
{
	return dotted_has(body, true) && !dotted_has(body, false);
}

/* The flag that this replica has switched. */
static struct varlena *
set(CrdtReader body, bool on)
{
	uint8		byte = on ? 1 : 0;
	CrdtReader	value = {&byte, &byte + 1};
	CrdtBuffer	out;

	crdt_start(&out, CRDT_DW_FLAG);
	dotted_assign(&out, body, DOTTED_BOOLEAN, &value);
	return crdt_finish_mutation(&out);
}

/* dw_flag(boolean) */
Datum
dw_flag_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(dotted_nothing(), PG_GETARG_BOOL(0)));
}

/* enable(dw_flag) */
Datum
dw_flag_enable(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(CRDT_GETARG(0, CRDT_DW_FLAG).body, true));
}

/* disable(dw_flag) */
Datum
dw_flag_disable(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(set(CRDT_GETARG(0, CRDT_DW_FLAG).body, false));
}

/* value(dw_flag), dw_flag::boolean */
Datum
dw_flag_value(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_on(CRDT_GETARG(0, CRDT_DW_FLAG).body));
}
