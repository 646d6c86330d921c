/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  The operations of the model, done to states by the SQL functions.
 *
 * Other replicas are played by the setting consistency.replica_id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "apply.h"
#include "elements.h"
#include "subject.h"

#define CACHED 256

typedef struct CachedCall
{
	const char *name;			/* a literal */
	ModelType	type;
	Oid			second;
	Oid			third;
	Call	   *call;
} CachedCall;

struct Mutators
{
	MemoryContext context;
	Oid			types[MODEL_TYPES];
	Call	   *in[MODEL_TYPES];
	Call	   *merge;			/* of lww_register */
	int			n;
	CachedCall	cached[CACHED];
};

static Oid	get_input_function(Oid type);
static void become(uint64 id);
static Call *lookup(Mutators *mutators, const char *name, ModelType type, Oid second, Oid third);
static bool can_construct(const Operation *operation);
static Datum construct(Mutators *mutators, const Operation *operation);
static Call *constructor(Mutators *mutators, const char *name, Oid argument);
static Datum change(Mutators *mutators, const Log *log, Operation *operation, Datum state, int level);
static Datum change_key(Mutators *mutators, const Log *log, Operation *operation, Datum map, int level);
static Datum mutate(Mutators *mutators, const Log *log, Operation *operation, Datum state);
static Datum assign_stamped(Mutators *mutators, Operation *operation, Datum state);
static Datum change_row(Mutators *mutators, const Log *log, const Operation *operation, Datum state);
static Datum import(Mutators *mutators, const Operation *operation, Datum state);

/* It lasts as long as the current memory context. */
Mutators *
mutators_open(void)
{
	Mutators   *mutators = palloc0(sizeof(Mutators));

	mutators->context = CurrentMemoryContext;
	for (int i = 0; i < MODEL_TYPES; i++)
	{
		Oid			cstring = CSTRINGOID;

		mutators->types[i] = call_type(model_type_names[i]);
		mutators->in[i] = call_prepare(psprintf("%s_in", model_type_names[i]), 1, &cstring);
	}
	return mutators;
}

Oid
mutators_type(Mutators *mutators, ModelType type)
{
	return mutators->types[type];
}

/* Can it be put into a map? */
bool
model_type_nests(ModelType type)
{
	switch (type)
	{
		case PNCOUNTER:
		case LWW_REGISTER:
		case MV_REGISTER:
		case ORSET:
		case EW_FLAG:
		case DW_FLAG:
		case ORMAP:
			return true;
		default:
			return false;
	}
}

/* The function of a type with up to two more arguments, of the types given. */
Call *
mutators_call(Mutators *mutators, const char *name, ModelType type, Oid second, Oid third)
{
	return lookup(mutators, name, type, second, third);
}

/* The same; without the type as an argument if it is MODEL_TYPES. */
static Call *
lookup(Mutators *mutators, const char *name, ModelType type, Oid second, Oid third)
{
	Oid			types[] = {type == MODEL_TYPES ? second : mutators->types[type], second, third};
	CachedCall *cached;
	MemoryContext old;

	for (int i = 0; i < mutators->n; i++)
	{
		cached = &mutators->cached[i];
		if (cached->type == type && cached->second == second && cached->third == third &&
			(cached->name == name || strcmp(cached->name, name) == 0))
			return cached->call;
	}
	if (mutators->n == CACHED)
		elog(ERROR, "too many functions");
	old = MemoryContextSwitchTo(mutators->context);
	cached = &mutators->cached[mutators->n];
	cached->name = name;
	cached->type = type;
	cached->second = second;
	cached->third = third;
	cached->call = call_prepare(name, type == MODEL_TYPES ? 1 : OidIsValid(third) ? 3 : OidIsValid(second) ? 2 : 1,
								types);
	mutators->n++;
	MemoryContextSwitchTo(old);
	return cached->call;
}

/* Some state of a type that maps can hold. */
Datum
apply_sample(Oid type)
{
	static const char *const samples[MODEL_TYPES] = {
		[PNCOUNTER] = "{\"10\": {\"inc\": 3, \"inc_reset\": 1}}",
		[LWW_REGISTER] = "{\"value\": 1, \"stamp\": 2, \"replica\": \"10\"}",
		[MV_REGISTER] = "{\"clock\": {\"10\": 2}, \"values\": [{\"value\": 1, \"dot\": [\"10\", 2]}]}",
		[ORSET] = "{\"clock\": {\"10\": 2}, \"elements\": [{\"value\": 1, \"dots\": {\"10\": 2}}]}",
		[EW_FLAG] = "{\"clock\": {\"10\": 2}, \"values\": [{\"value\": true, \"dot\": [\"10\", 2]}]}",
		[DW_FLAG] = "{\"clock\": {\"10\": 2}, \"values\": [{\"value\": false, \"dot\": [\"10\", 2]}]}",
		[ORMAP] = "{\"clock\": {\"10\": 2}, \"entries\": [{\"key\": \"k\", \"type\": \"pncounter\", \"dots\": {\"10\": 2}, \"state\": {}}]}",
	};

	for (int i = 0; i < MODEL_TYPES; i++)
	{
		if (samples[i] != NULL && call_type(model_type_names[i]) == type)
			return OidInputFunctionCall(get_input_function(type), unconstify(char *, samples[i]), type, -1);
	}
	elog(ERROR, "no sample of type %u", type);
}

static Oid
get_input_function(Oid type)
{
	Oid			function,
				parameter;

	getTypeInputInfo(type, &function, &parameter);
	return function;
}

static void
become(uint64 id)
{
	char		name[20];

	snprintf(name, sizeof(name), "%" INT64_MODIFIER "x", id);
	SetConfigOption("consistency.replica_id", name, PGC_USERSET, PGC_S_SESSION);
}

/*
 * apply_operation
 *		Do an operation to a state, as its author.
 *
 * Stamps that were taken from the clock are written down in the operation.
 */
Outcome
apply_operation(Mutators *mutators, const Log *log, Operation *operation, Datum state)
{
	MemoryContext old = CurrentMemoryContext;
	volatile Outcome outcome = {0};

	become(log->ids[operation->author]);
	PG_TRY();
	{
		if (operation->seen == 0 && operation->spelling == 1 && can_construct(operation))
			outcome.value = construct(mutators, operation);
		else
			outcome.value = change(mutators, log, operation, state, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* which errors are right is known for operations at the top only */
		if (operation->place.depth > 0 || geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		FlushErrorState();
		outcome.error = error->sqlerrcode;
		outcome.message = error->detail == NULL ? error->message : psprintf("%s: %s", error->message, error->detail);
	}
	PG_END_TRY();
	return outcome;
}

/* Can a new value come with the operation done already? */
static bool
can_construct(const Operation *operation)
{
	if (operation->place.depth > 0)
		return false;
	switch (operation->place.type)
	{
		case GCOUNTER:
		case PNCOUNTER:
			return operation->kind == INCREMENT;
		case MV_REGISTER:
			return operation->kind == ASSIGN;
		case GSET:
		case TWOPSET:
		case ORSET:
			return operation->kind == ADD;
		case EW_FLAG:
		case DW_FLAG:
			return true;
		default:
			return false;
	}
}

/* Make a new value that the operation has been done to. */
static Datum
construct(Mutators *mutators, const Operation *operation)
{
	ModelType	type = operation->place.type;
	const char *name = model_type_names[type];
	const char *element = elements[operation->element].spellings[operation->spelling];

	switch (type)
	{
		case GCOUNTER:
		case PNCOUNTER:
			return call_1(constructor(mutators, name, INT8OID), Int64GetDatum(operation->amount));
		case MV_REGISTER:
			return call_1(constructor(mutators, name, JSONBOID), json_parse(element));
		case EW_FLAG:
		case DW_FLAG:
			return call_1(constructor(mutators, name, BOOLOID), BoolGetDatum(operation->kind == ENABLE));
		default:
			return call_1(constructor(mutators, name, JSONBOID), json_parse(psprintf("[%s, %s]", element, element)));
	}
}

/* The function of a type's name, which takes something else. */
static Call *
constructor(Mutators *mutators, const char *name, Oid argument)
{
	return lookup(mutators, name, MODEL_TYPES, argument, InvalidOid);
}

/* Do it at a level of nested maps. */
static Datum
change(Mutators *mutators, const Log *log, Operation *operation, Datum state, int level)
{
	if (level < operation->place.depth)
		return change_key(mutators, log, operation, state, level);
	return mutate(mutators, log, operation, state);
}

/* Do it below a key of a map: get, change, put. */
static Datum
change_key(Mutators *mutators, const Log *log, Operation *operation, Datum map, int level)
{
	Step		step = operation->place.path[level];
	Oid			type = mutators->types[step.type];
	Datum		key = PointerGetDatum(cstring_to_text(element_keys[step.key]));
	NullableDatum arguments[] = {{map, false}, {key, false}, {0, true}};
	Outcome		nested = call_nullable(mutators_call(mutators, "get", ORMAP, TEXTOID, type), arguments, NULL);
	Datum		put[3];

	if (nested.is_null)
		nested.value = call_1(mutators->in[step.type], CStringGetDatum("{}"));
	put[0] = map;
	put[1] = key;
	put[2] = change(mutators, log, operation, nested.value, level + 1);
	return call_datum(mutators_call(mutators, "put", ORMAP, TEXTOID, type), put);
}

/* Call the function that does it. */
static Datum
mutate(Mutators *mutators, const Log *log, Operation *operation, Datum state)
{
	ModelType	type = operation->place.type;
	const char *name = NULL;
	int64		amount = operation->amount;
	Datum		arguments[3];

	if (type == ROW_VERSION)
		return change_row(mutators, log, operation, state);
	switch (operation->kind)
	{
		case INCREMENT:
		case DECREMENT:
			name = operation->kind == INCREMENT ? "increment" : "decrement";
			if (operation->spelling == 2 && (type == PNCOUNTER || type == BCOUNTER))
			{
				/* the same, the other way round */
				name = operation->kind == INCREMENT ? "decrement" : "increment";
				amount = -amount;
			}
			if (type == VCLOCK)
				return call_1(mutators_call(mutators, name, type, InvalidOid, InvalidOid), state);
			return call_2(mutators_call(mutators, name, type, INT8OID, InvalidOid),
						  state, Int64GetDatum(amount));
		case TRANSFER:
			arguments[0] = state;
			arguments[1] = PointerGetDatum(cstring_to_text(psprintf("%" INT64_MODIFIER "x",
																	log->ids[operation->target])));
			arguments[2] = Int64GetDatum(operation->amount);
			return call_datum(mutators_call(mutators, "transfer", type, TEXTOID, INT8OID), arguments);
		case ASSIGN:
			if (type == LWW_REGISTER)
				return assign_stamped(mutators, operation, state);
			name = "assign";
			break;
		case IMPORT:
			return import(mutators, operation, state);
		case ADD:
			name = "add";
			break;
		case REMOVE:
			name = "remove";
			break;
		case RESET:
			return call_1(mutators_call(mutators, "reset", type, InvalidOid, InvalidOid), state);
		case CLEAR:
			return call_1(mutators_call(mutators, "clear", type, InvalidOid, InvalidOid), state);
		case ENABLE:
			return call_1(mutators_call(mutators, "enable", type, InvalidOid, InvalidOid), state);
		case DISABLE:
			return call_1(mutators_call(mutators, "disable", type, InvalidOid, InvalidOid), state);
		case TOUCH:
			return state;
		case REMOVE_KEY:
			return call_2(mutators_call(mutators, "remove", type, TEXTOID, InvalidOid), state,
						  PointerGetDatum(cstring_to_text(element_keys[operation->key])));
		case WRITE:
		case WRITE_COLUMN:
		case WRITE_FIRST:
		case DELETE_SEEN:
		case NEXT_LENGTH:
			/* of rows alone */
			break;
	}
	return call_2(mutators_call(mutators, name, type, JSONBOID, InvalidOid), state,
				  json_parse(elements[operation->element].spellings[operation->spelling]));
}

/* Merge what the model says that comes of it: no function in SQL changes a version. */
static Datum
change_row(Mutators *mutators, const Log *log, const Operation *operation, Datum state)
{
	StringInfoData text;

	initStringInfo(&text);
	model_row_state(&text, log, operation->seen | OP(operation - log->operations));
	return call_2(mutators_call(mutators, "row_version_merge", ROW_VERSION, mutators->types[ROW_VERSION], InvalidOid),
				  state, call_1(mutators->in[ROW_VERSION], CStringGetDatum(text.data)));
}

/* Assign, and write down under which stamp that was. */
static Datum
assign_stamped(Mutators *mutators, Operation *operation, Datum state)
{
	Datum		assigned = call_2(mutators_call(mutators, "assign", LWW_REGISTER, JSONBOID, InvalidOid), state,
								  json_parse(elements[operation->element].spellings[operation->spelling]));
	Datum		replica = call_1(mutators_call(mutators, "replica", LWW_REGISTER, InvalidOid, InvalidOid), assigned);

	operation->stamp = DatumGetInt64(call_1(mutators_call(mutators, "stamp", LWW_REGISTER, InvalidOid, InvalidOid),
											assigned));
	operation->stamp_id = strtou64(TextDatumGetCString(replica), NULL, 16);
	return assigned;
}

/* Merge what was made elsewhere: an assignment, at a time chosen by the history, or a bound. */
static Datum
import(Mutators *mutators, const Operation *operation, Datum state)
{
	ModelType	type = operation->place.type;
	char	   *text;

	if (type == BCOUNTER)
		text = psprintf("{\"bound\": " INT64_FORMAT "}", operation->amount);

	else
		text = psprintf("{\"replica\": \"%" INT64_MODIFIER "x\", \"stamp\": " INT64_FORMAT ", \"value\": %s}",
						operation->stamp_id, operation->stamp,
						elements[operation->element].spellings[operation->spelling]);

	return call_2(mutators_call(mutators, type == BCOUNTER ? "bcounter_merge" : "lww_register_merge", type,
								mutators->types[type], InvalidOid),
				  state, call_1(mutators->in[type], CStringGetDatum(text)));
}
