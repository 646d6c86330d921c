/*-------------------------------------------------------------------------
 *
 * lww_register.c
 *	  Register that keeps the value with the latest stamp.
 *
 * Body: nothing if no value was ever assigned; else stamp (varint, 1 ..
 * 2^63 - 1), id of the replica that assigned, kind (a byte: 0 a value, 1 none),
 * and the value to the end, an element as in json.h.  As JSON:
 *
 *		{"value": 1, "stamp": 123, "replica": "a"}
 *
 * without "value" if there is none.
 *
 * Of two states the one with the larger stamp is their least upper bound; then
 * the larger id decides, then none is above a value, then the value's bytes decide.
 * So everyone comes to the same result, even where one replica gave the same stamp
 * to two values, as a clone could have done.
 *
 * See Shapiro et al. 2011, specification 8; stamps are those of clock.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "crdt/clock.h"
#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"

/* On disk: never renumber; the larger one wins. */
typedef enum LwwKind
{
	LWW_VALUE = 0,
	LWW_NONE = 1
} LwwKind;

/* A register, taken apart. */
typedef struct Lww
{
	uint64		stamp;			/* 0: never assigned, the rest is unset */
	uint64		replica;
	LwwKind		kind;
	CrdtReader	value;			/* of LWW_VALUE, else empty */
} Lww;

static Lww	read_register(CrdtReader body);
static void write_register(CrdtBuffer *out, const Lww *lww);
static int	compare(const Lww *a, const Lww *b);
static bool has_value(const Lww *lww);
static void check(CrdtReader body, int depth);
static void merge(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void reset(CrdtBuffer *out, CrdtReader body);
static void write_json(StringInfo out, CrdtReader body, int depth);
static void read_json(CrdtBuffer *out, JsonbValue *json, int depth);
static void value_to_json(StringInfo out, CrdtReader body, int depth);
static struct varlena *assign(uint64 seen, Jsonb *value);

PG_FUNCTION_INFO_V1(lww_register_new);
PG_FUNCTION_INFO_V1(lww_register_assign);
PG_FUNCTION_INFO_V1(lww_register_value);
PG_FUNCTION_INFO_V1(lww_register_stamp);
PG_FUNCTION_INFO_V1(lww_register_replica);

const CrdtRoutine lww_register_routine = {
	.name = "lww_register",
	.made_of = "jsonb",
	.check = check,
	.merge = merge,
	.reset = reset,
	.to_json = write_json,
	.from_json = read_json,
	.value = value_to_json,
};

/* --- states -------------------------------------------------------------- */

static Lww
read_register(CrdtReader body)
{
	Lww			lww = {0};
	uint8		kind;

	if (crdt_at_end(&body))
		return lww;
	lww.stamp = crdt_read_varint(&body);
	lww.replica = crdt_read_id(&body);
	kind = *crdt_read_bytes(&body, 1).at;
	if (lww.stamp < 1 || lww.stamp > CRDT_MAX_COUNT)
		crdt_corrupted("a stamp is out of range");
	if (kind > LWW_NONE)
		crdt_corrupted("a kind of value is unknown");
	lww.kind = (LwwKind) kind;
	lww.value = body;
	return lww;
}

/* Append a register to which something was assigned. */
static void
write_register(CrdtBuffer *out, const Lww *lww)
{
	crdt_reserve(out, CRDT_VARINT_SIZE + CRDT_ID_SIZE + 1 + crdt_left(&lww->value));
	crdt_put_varint(out, lww->stamp);
	crdt_put_id(out, lww->replica);
	out->data[out->used++] = (uint8) lww->kind;
	crdt_put_bytes(out, lww->value.at, crdt_left(&lww->value));
}

/* Which of two comes out when they are merged: > 0 the first one. */
static int
compare(const Lww *a, const Lww *b)
{
	if (a->stamp != b->stamp)
		return a->stamp > b->stamp ? 1 : -1;
	if (a->stamp == 0)
		return 0;
	if (a->replica != b->replica)
		return a->replica > b->replica ? 1 : -1;
	if (a->kind != b->kind)
		return a->kind > b->kind ? 1 : -1;
	return crdt_compare_bytes(&a->value, &b->value);
}

static bool
has_value(const Lww *lww)
{
	return lww->stamp > 0 && lww->kind == LWW_VALUE;
}

static void
check(CrdtReader body, int depth)
{
	CrdtReader	stamp = body;
	Lww			lww = read_register(body);

	if (lww.stamp == 0)
		return;
	(void) crdt_read_minimal_varint(&stamp);
	if (lww.replica == 0)
		crdt_corrupted("a replica id is 0");
	if (lww.kind == LWW_VALUE)
		crdt_element_check(&lww.value);
	else if (!crdt_at_end(&lww.value))
		crdt_corrupted("something follows its end");
}

static void
merge(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	Lww			lww_a = read_register(a);
	Lww			lww_b = read_register(b);

	crdt_append_rest(out, compare(&lww_a, &lww_b) > 0 ? &a : &b);
}

/* No value: beats the one that was there, and no later one. */
static void
reset(CrdtBuffer *out, CrdtReader body)
{
	Lww			lww = read_register(body);

	lww.kind = LWW_NONE;
	lww.value.at = lww.value.end;
	if (lww.stamp > 0)
		write_register(out, &lww);
}

/* --- JSON ---------------------------------------------------------------- */

static void
write_json(StringInfo out, CrdtReader body, int depth)
{
	Lww			lww = read_register(body);

	appendStringInfoChar(out, '{');
	if (has_value(&lww))
	{
		appendStringInfoString(out, "\"value\": ");
		appendBinaryStringInfo(out, (const char *) lww.value.at, crdt_left(&lww.value));
		appendStringInfoString(out, ", ");
	}
	if (lww.stamp > 0)
	{
		appendStringInfo(out, "\"stamp\": " UINT64_FORMAT ", \"replica\": ", lww.stamp);
		crdt_json_append_id(out, lww.replica);
	}
	appendStringInfoChar(out, '}');
}

static void
read_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	CrdtJsonMembers members = crdt_json_object(json);
	Lww			lww = {.kind = LWW_NONE};

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "stamp"))
			lww.stamp = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "replica"))
			lww.replica = crdt_json_id(&members.value);
		else if (crdt_json_key_is(&members, "value"))
		{
			lww.kind = LWW_VALUE;
			lww.value = crdt_element(&members.value);
		}
		else
			crdt_json_unknown_key(&members);
	}
	if ((lww.stamp > 0) != (lww.replica > 0) || (lww.kind == LWW_VALUE && lww.stamp == 0))
		crdt_json_error("Members \"stamp\" and \"replica\" are both needed.");
	if (lww.stamp > 0)
		write_register(out, &lww);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	Lww			lww = read_register(body);

	if (has_value(&lww))
		appendBinaryStringInfo(out, (const char *) lww.value.at, crdt_left(&lww.value));
	else
		appendStringInfoString(out, "null");
}

/* --- SQL functions ------------------------------------------------------- */

/* A register that this replica has set, with a stamp above the one it had. */
static struct varlena *
assign(uint64 seen, Jsonb *value)
{
	Lww			lww;
	CrdtBuffer	out;

	lww.value = crdt_element_from_jsonb(value);
	lww.kind = LWW_VALUE;
	lww.replica = replica_id_own();
	lww.stamp = (uint64) clock_next((int64) seen);
	crdt_start(&out, CRDT_LWW_REGISTER);
	write_register(&out, &lww);
	return crdt_finish_mutation(&out);
}

/* lww_register(jsonb): a register with a value */
Datum
lww_register_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(assign(0, PG_GETARG_JSONB_P(0)));
}

/* assign(lww_register, jsonb) */
Datum
lww_register_assign(PG_FUNCTION_ARGS)
{
	Lww			lww = read_register(CRDT_GETARG(0, CRDT_LWW_REGISTER).body);

	PG_RETURN_POINTER(assign(lww.stamp, PG_GETARG_JSONB_P(1)));
}

/* value(lww_register): NULL if there is none */
Datum
lww_register_value(PG_FUNCTION_ARGS)
{
	Lww			lww = read_register(CRDT_GETARG(0, CRDT_LWW_REGISTER).body);

	if (!has_value(&lww))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(crdt_element_to_jsonb(&lww.value));
}

/* stamp(lww_register): NULL if nothing was ever assigned */
Datum
lww_register_stamp(PG_FUNCTION_ARGS)
{
	Lww			lww = read_register(CRDT_GETARG(0, CRDT_LWW_REGISTER).body);

	if (lww.stamp == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) lww.stamp);
}

/* replica(lww_register): who assigned last, NULL if no one */
Datum
lww_register_replica(PG_FUNCTION_ARGS)
{
	Lww			lww = read_register(CRDT_GETARG(0, CRDT_LWW_REGISTER).body);

	if (lww.stamp == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%" INT64_MODIFIER "x", lww.replica)));
}
