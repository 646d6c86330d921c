/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  What all CRDTs do alike: input and output, merging, comparing, hashing.
 *
 * A state says itself of which type it is, so that one C function serves the
 * SQL functions of all types.  Only those that make a state from something else
 * must be told, and are made for each type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "crdt/crdt.h"
#include "crdt/json.h"

static void demand_object(const CrdtRoutine *routine, const JsonbValue *json);
static Datum input(const char *text, CrdtType type);
static Datum receive(StringInfo message, CrdtType type);
static void name_type(void *arg);
static bool is_contained(CrdtState a, CrdtState b);
static bool is_equal(CrdtState a, CrdtState b);

PG_FUNCTION_INFO_V1(crdt_out);
PG_FUNCTION_INFO_V1(crdt_send);
PG_FUNCTION_INFO_V1(crdt_merge);
PG_FUNCTION_INFO_V1(crdt_contained);
PG_FUNCTION_INFO_V1(crdt_contains);
PG_FUNCTION_INFO_V1(crdt_eq);
PG_FUNCTION_INFO_V1(crdt_ne);
PG_FUNCTION_INFO_V1(crdt_hash);
PG_FUNCTION_INFO_V1(crdt_hash_extended);
PG_FUNCTION_INFO_V1(crdt_value);

/* The input functions of a type. */
#define INPUT_FUNCTIONS(name, type) \
	PG_FUNCTION_INFO_V1(name##_in); \
	Datum \
	name##_in(PG_FUNCTION_ARGS) \
	{ \
		return input(PG_GETARG_CSTRING(0), type); \
	} \
	PG_FUNCTION_INFO_V1(name##_recv); \
	Datum \
	name##_recv(PG_FUNCTION_ARGS) \
	{ \
		return receive((StringInfo) PG_GETARG_POINTER(0), type); \
	} \
	extern int	no_such_variable

INPUT_FUNCTIONS(gcounter, CRDT_GCOUNTER);
INPUT_FUNCTIONS(pncounter, CRDT_PNCOUNTER);
INPUT_FUNCTIONS(bcounter, CRDT_BCOUNTER);
INPUT_FUNCTIONS(lww_register, CRDT_LWW_REGISTER);
INPUT_FUNCTIONS(mv_register, CRDT_MV_REGISTER);
INPUT_FUNCTIONS(gset, CRDT_GSET);
INPUT_FUNCTIONS(twopset, CRDT_TWOPSET);
INPUT_FUNCTIONS(orset, CRDT_ORSET);
INPUT_FUNCTIONS(ew_flag, CRDT_EW_FLAG);
INPUT_FUNCTIONS(dw_flag, CRDT_DW_FLAG);
INPUT_FUNCTIONS(ormap, CRDT_ORMAP);
INPUT_FUNCTIONS(vclock, CRDT_VCLOCK);
INPUT_FUNCTIONS(row_version, CRDT_ROW_VERSION);

/* --- input and output ---------------------------------------------------- */

/*
 * Context of errors: which type's input it is.  What comes from a client isn't
 * corrupted data of ours.
 */
static void
name_type(void *arg)
{
	if (geterrcode() == ERRCODE_DATA_CORRUPTED)
		errcode(ERRCODE_INVALID_BINARY_REPRESENTATION);
	errcontext("input of type %s", (const char *) arg);
}

/*
 * SQL takes a literal that is the only argument of a constructor, as in
 * mv_register('5'), for a state, so that must be told from what was meant.
 */
static void
demand_object(const CrdtRoutine *routine, const JsonbValue *json)
{
	if (routine->made_of != NULL && !JsonContainerIsObject(json->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("JSON doesn't describe a state of this type"),
				 errdetail("An object is expected."),
				 errhint("To begin a new value, write '{}', or %s(%s '...').",
						 routine->name, routine->made_of)));
}

/* Read a state from JSON. */
static Datum
input(const char *text, CrdtType type)
{
	const CrdtRoutine *routine = crdt_routine(type);
	ErrorContextCallback context = {error_context_stack, name_type, unconstify(char *, routine->name)};
	JsonbValue	json;
	CrdtBuffer	out;

	error_context_stack = &context;
	json = crdt_json_value(DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text))));
	demand_object(routine, &json);
	crdt_start(&out, type);
	routine->from_json(&out, &json, 0);
	error_context_stack = context.previous;
	PG_RETURN_POINTER(crdt_finish(&out));
}

/*
 * Read a state from its binary form: the encoding of its texts, which has to be
 * the database's, then the bytes of the state, all of which are checked.
 */
static Datum
receive(StringInfo message, CrdtType type)
{
	ErrorContextCallback context = {error_context_stack, name_type, unconstify(char *, crdt_routine(type)->name)};
	int			encoding = pq_getmsgbyte(message);
	int			size = message->len - message->cursor;
	struct varlena *value;
	CrdtState	state;

	if (encoding != GetDatabaseEncoding())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("binary form of type %s comes from a database of another encoding", crdt_routine(type)->name),
				 errhint("Use the text form between databases of different encodings.")));

	error_context_stack = &context;
	value = palloc(size + VARHDRSZ);
	SET_VARSIZE(value, size + VARHDRSZ);
	pq_copymsgbytes(message, VARDATA(value), size);
	state = crdt_state(value, type);
	state.routine->check(state.body, 0);
	error_context_stack = context.previous;
	PG_RETURN_POINTER(value);
}

Datum
crdt_out(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_ANY);
	StringInfoData text;

	initStringInfo(&text);
	state.routine->to_json(&text, state.body, 0);
	PG_RETURN_CSTRING(text.data);
}

Datum
crdt_send(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbyte(&message, GetDatabaseEncoding());
	pq_sendbytes(&message, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* What users see, as jsonb. */
Datum
crdt_value(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_ANY);
	StringInfoData text;

	initStringInfo(&text);
	state.routine->value(&text, state.body, 0);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

/* --- the lattice --------------------------------------------------------- */

/* a || b */
Datum
crdt_merge(PG_FUNCTION_ARGS)
{
	CrdtState	a = CRDT_GETARG(0, CRDT_ANY);
	CrdtState	b = CRDT_GETARG(1, CRDT_ANY);

	PG_RETURN_POINTER(crdt_merge_states(&a, &b));
}

/* Is the first one's information contained in the second's? */
static bool
is_contained(CrdtState a, CrdtState b)
{
	CrdtState	joined = crdt_state(crdt_merge_states(&a, &b), a.type);

	return crdt_compare_bytes(&joined.body, &b.body) == 0;
}

/* a <@ b */
Datum
crdt_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_contained(CRDT_GETARG(0, CRDT_ANY), CRDT_GETARG(1, CRDT_ANY)));
}

/* a @> b */
Datum
crdt_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_contained(CRDT_GETARG(1, CRDT_ANY), CRDT_GETARG(0, CRDT_ANY)));
}

/* --- equality ------------------------------------------------------------ */

static bool
is_equal(CrdtState a, CrdtState b)
{
	return a.type == b.type && crdt_compare_bytes(&a.body, &b.body) == 0;
}

/* a = b */
Datum
crdt_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_equal(CRDT_GETARG(0, CRDT_ANY), CRDT_GETARG(1, CRDT_ANY)));
}

/* a <> b */
Datum
crdt_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!is_equal(CRDT_GETARG(0, CRDT_ANY), CRDT_GETARG(1, CRDT_ANY)));
}

Datum
crdt_hash(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_ANY);

	return hash_any(state.body.at, crdt_left(&state.body));
}

Datum
crdt_hash_extended(PG_FUNCTION_ARGS)
{
	CrdtState	state = CRDT_GETARG(0, CRDT_ANY);

	return hash_any_extended(state.body.at, crdt_left(&state.body), PG_GETARG_INT64(1));
}
