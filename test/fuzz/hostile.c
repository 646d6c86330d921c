/*-------------------------------------------------------------------------
 *
 * hostile.c
 *	  Bad input to CRDTs: crdt_hostile() in SQL.
 *
 * Good states are damaged, as text, in their binary form, and as they are stored.
 * Whatever a type's functions are given, they must give a result or raise a
 * reasonable error, and use little memory.  What input functions accept must be as
 * good as any other state: canonical, and good for all functions.
 *
 * Stored states lie in blocks of their exact size, and all that is allocated in
 * blocks of its own, nearly: so a sanitizer or valgrind sees who goes beyond.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "corpus.h"
#include "elements.h"
#include "functions.h"
#include "history.h"

/*
 * memory that a call may use: so much, and so many times its input's size; jsonb's
 * input takes some 290 bytes for each "[" of a text that has nothing else
 */
#define MEMORY_PLAIN (256 * 1024)
#define MEMORY_FACTOR 320

/* memory of the whole backend that may be more after many inputs than after some */
#define MEMORY_LEFT (512 * 1024)

typedef struct Attack
{
	Subject    *subject;
	Corpus	   *corpus;
	Functions  *functions;
	Random		random;
	fmNodePtr	aggregate;
	int64		seed;
	int64		number;			/* of the trial */
	const char *form;			/* of the input: what was tried with it, and
								 * the bytes */
	Bytes		input;
	int64		calls;
	int64		inputs;			/* to input functions */
	int64		accepted;		/* of these */
} Attack;

static void describe_attack(void *arg);
static void fail(Attack *attack, const char *what, const char *function) pg_attribute_noreturn();
static bool is_reasonable(int error, bool accepted);
static Outcome attempt(Attack *attack, const char *function, Call *call, const NullableDatum *arguments,
					   bool accepted);
static void attack_once(Attack *attack);
static char *special_id(Random *random);
static void attack_text(Attack *attack);
static void attack_binary(Attack *attack);
static void attack_stored(Attack *attack);
static char *exact_block(const Bytes *bytes, Random *random);
static Datum good_state(Attack *attack);
static void check_accepted(Attack *attack, Datum state);
static void expect_same(Attack *attack, Datum a, Datum b, const char *what);
static void use_state(Attack *attack, Datum state, bool accepted);
static void aggregate_state(Attack *attack, Datum state, bool accepted);
static void call_some(Attack *attack, Datum state, bool accepted, int depth);
static void call_function(Attack *attack, Function *function, Datum state, bool accepted, int depth);
static NullableDatum argument_of(Attack *attack, Oid type, Datum state, bool *used);
static void report(const Attack *attack);
static Size backend_memory(void);

PG_FUNCTION_INFO_V1(crdt_hostile);
PG_FUNCTION_INFO_V1(crdt_damaged);

/*
 * crdt_hostile(type text, seed bigint, inputs int, first int): how many calls were made
 *
 * Raises an error at the first thing that isn't as it should be.
 */
Datum
crdt_hostile(PG_FUNCTION_ARGS)
{
	Attack		attack = {subject_open(text_to_cstring(PG_GETARG_TEXT_PP(0)))};
	int64		first = PG_GETARG_INT32(3);
	int64		last = first + PG_GETARG_INT32(2) - 1;
	ErrorContextCallback context = {error_context_stack, describe_attack, &attack};
	MemoryContext tight,
				old;
	Size		memory = 0;

	attack.seed = PG_GETARG_INT64(1);
	attack.corpus = corpus_make(attack.subject, mutators_open(), attack.seed);
	attack.functions = functions_of_type(attack.subject->type);
	/* only the smallest chunks share a block */
	tight = AllocSetContextCreateInternal(CurrentMemoryContext, "attack", 0, 256, 256);
	old = MemoryContextSwitchTo(tight);
	error_context_stack = &context;
	for (attack.number = first; attack.number <= last; attack.number++)
	{
		CHECK_FOR_INTERRUPTS();
		attack_once(&attack);
		MemoryContextReset(tight);
		if (attack.number == first + (last - first) / 4)
			memory = backend_memory();
	}
	attack.number = last;
	if (backend_memory() > memory + MEMORY_LEFT)
		fail(&attack, "memory is left behind", "all");
	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
	report(&attack);
	PG_RETURN_INT64(attack.calls);
}

/* crdt_damaged(type text, seed bigint, number int): a damaged state, as it would be stored */
Datum
crdt_damaged(PG_FUNCTION_ARGS)
{
	Subject    *subject = subject_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	int64		seed = PG_GETARG_INT64(1);
	Corpus	   *corpus;
	Random		random = random_of_trial(seed, PG_GETARG_INT32(2));
	Bytes		damaged;

	/* the same one for all of a seed */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = corpus_make(subject, mutators_open(), seed);
		MemoryContextSwitchTo(old);
	}
	corpus = fcinfo->flinfo->fn_extra;
	damaged = mutate_bytes(&random, corpus->stored, CORPUS_SIZE, 0);
	PG_RETURN_BYTEA_P(cstring_to_text_with_len(damaged.data, damaged.size));
}

/* How much of it went well: nearly all, or nearly nothing, would be no good test. */
static void
report(const Attack *attack)
{
	elog(DEBUG1, "%s: " INT64_FORMAT " of " INT64_FORMAT " inputs were accepted",
		 attack->subject->name, attack->accepted, attack->inputs);
	for (int i = 0; i < attack->functions->n; i++)
	{
		const Function *function = &attack->functions->functions[i];

		elog(DEBUG1, "  %s: " INT64_FORMAT " results, " INT64_FORMAT " errors",
			 function->name, function->results, function->errors);
	}
}

/* All the memory that this backend has got from the system. */
static Size
backend_memory(void)
{
	return MemoryContextMemAllocated(TopMemoryContext, true);
}

/* --- what may come of it ------------------------------------------------- */

/* How to see it again. */
static void
describe_attack(void *arg)
{
	Attack	   *attack = (Attack *) arg;
	StringInfoData hex;

	if (attack->form == NULL)
		return;
	initStringInfo(&hex);
	for (int i = 0; i < Min(attack->input.size, 2000); i++)
		appendStringInfo(&hex, "%02x", (unsigned char) attack->input.data[i]);
	errcontext("SELECT crdt_hostile('%s', " INT64_FORMAT ", 1, " INT64_FORMAT ")\n%s of %d bytes: %s\nas text: %s",
			   attack->subject->name, attack->seed, attack->number, attack->form, attack->input.size, hex.data,
			   strcmp(attack->form, "text") == 0 ? attack->input.data : "");
}

static void
fail(Attack *attack, const char *what, const char *function)
{
	elog(ERROR, "hostile input: %s, by function %s", what, function);
}

/*
 * Is it an error that a user can understand?  What was accepted isn't damaged,
 * but may well be too large a number to be counted up, for example.
 */
static bool
is_reasonable(int error, bool accepted)
{
	switch (ERRCODE_TO_CATEGORY(error))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return true;
	}
	switch (error)
	{
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_CHECK_VIOLATION:
			return true;
		case ERRCODE_DATA_CORRUPTED:
		case ERRCODE_PROTOCOL_VIOLATION:
			return !accepted;
	}
	return false;
}

/* Call a function, and see what it does besides. */
static Outcome
attempt(Attack *attack, const char *function, Call *call, const NullableDatum *arguments, bool accepted)
{
	Size		before = MemoryContextMemAllocated(CurrentMemoryContext, true);
	Outcome		outcome = call_try(call, arguments, attack->aggregate);
	Size		after = MemoryContextMemAllocated(CurrentMemoryContext, true);

	attack->calls++;
	if (outcome.error != 0 && !is_reasonable(outcome.error, accepted))
		fail(attack, psprintf("SQLSTATE %s, %s", unpack_sql_state(outcome.error), outcome.message), function);
	if (after > before && after - before > MEMORY_PLAIN + (Size) attack->input.size * MEMORY_FACTOR)
		fail(attack, psprintf("%zu bytes of memory", after - before), function);
	return outcome;
}

/* --- inputs -------------------------------------------------------------- */

static void
attack_once(Attack *attack)
{
	attack->random = random_of_trial(attack->seed, attack->number);
	SetConfigOption("consistency.replica_id", special_id(&attack->random), PGC_USERSET, PGC_S_SESSION);
	attack->aggregate = subject_aggregate_context();
	switch (random_below(&attack->random, 3))
	{
		case 0:
			attack_text(attack);
			break;
		case 1:
			attack_binary(attack);
			break;
		case 2:
			attack_stored(attack);
			break;
	}
}

static char *
special_id(Random *random)
{
	return psprintf("%" INT64_MODIFIER "x", history_special_id(random));
}

static void
attack_text(Attack *attack)
{
	NullableDatum argument = {0, false};
	Outcome		outcome;

	attack->form = "text";
	attack->input = mutate_text(&attack->random, attack->corpus->texts, CORPUS_SIZE);
	argument.value = CStringGetDatum(attack->input.data);
	outcome = attempt(attack, "in", attack->subject->in, &argument, false);
	attack->inputs++;
	if (outcome.error == 0)
		check_accepted(attack, outcome.value);
}

static void
attack_binary(Attack *attack)
{
	StringInfoData message = {0};
	NullableDatum argument = {PointerGetDatum(&message), false};
	Outcome		outcome;

	attack->form = "binary form";
	attack->input = mutate_bytes(&attack->random, attack->corpus->sent, CORPUS_SIZE, 1);
	message.len = message.maxlen = attack->input.size;
	message.data = malloc(Max(attack->input.size, 1));
	memcpy(message.data, attack->input.data, attack->input.size);
	outcome = attempt(attack, "recv", attack->subject->recv, &argument, false);
	free(message.data);
	attack->inputs++;
	if (outcome.error == 0)
	{
		Bytes		stored = {attack->input.data + 1, attack->input.size - 1};
		struct varlena *state = (struct varlena *) DatumGetPointer(outcome.value);

		if (VARSIZE_ANY_EXHDR(state) != stored.size || memcmp(VARDATA_ANY(state), stored.data, stored.size) != 0)
			fail(attack, "what was received isn't kept as it is", "recv");
		check_accepted(attack, outcome.value);
	}
}

static void
attack_stored(Attack *attack)
{
	char	   *block;

	attack->form = "stored form";
	attack->input = mutate_bytes(&attack->random, attack->corpus->stored, CORPUS_SIZE, 0);
	block = exact_block(&attack->input, &attack->random);
	use_state(attack, PointerGetDatum(block), false);
	free(block);
}

/* A varlena with a header of four bytes or one, without a byte behind it. */
static char *
exact_block(const Bytes *bytes, Random *random)
{
	bool		is_short = bytes->size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX && random_chance(random, 50);
	int			header = is_short ? VARHDRSZ_SHORT : VARHDRSZ;
	char	   *block = malloc(header + bytes->size);

	if (is_short)
		SET_VARSIZE_SHORT(block, header + bytes->size);
	else
		SET_VARSIZE(block, header + bytes->size);
	memcpy(block + header, bytes->data, bytes->size);
	return block;
}

static Datum
good_state(Attack *attack)
{
	Bytes	   *bytes = &attack->corpus->stored[random_below(&attack->random, CORPUS_SIZE)];

	return PointerGetDatum(cstring_to_text_with_len(bytes->data, bytes->size));
}

/* --- trying functions ---------------------------------------------------- */

/* A state that an input function has let in must be as good as any. */
static void
check_accepted(Attack *attack, Datum state)
{
	Subject    *subject = attack->subject;
	struct varlena *sent = (struct varlena *) DatumGetPointer(call_1(subject->send, state));
	char	   *text = subject_text(subject, state);
	Datum		other = good_state(attack);
	Datum		third = good_state(attack);
	Datum		joined = call_2(subject->merge, state, other);

	attack->accepted++;
	(void) pg_verifymbstr(text, strlen(text), false);
	expect_same(attack, state, subject_parse(subject, text), "text form changes it");
	expect_same(attack, state, subject_receive(subject, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent)),
				"binary form changes it");
	expect_same(attack, state, call_2(subject->merge, state, state), "merging with itself changes it");
	expect_same(attack, joined, call_2(subject->merge, other, state), "merging isn't commutative");
	expect_same(attack, joined, call_2(subject->merge, joined, state), "merging isn't idempotent");
	expect_same(attack, call_2(subject->merge, joined, third),
				call_2(subject->merge, state, call_2(subject->merge, other, third)), "merging isn't associative");
	if (!DatumGetBool(call_2(subject->contained, state, joined)))
		fail(attack, "it isn't contained in what it was merged into", "<@");
	sent = (struct varlena *) DatumGetPointer(call_1(subject->send, joined));
	expect_same(attack, joined, subject_receive(subject, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent)),
				"what it was merged into isn't valid");
	use_state(attack, state, true);
}

static void
expect_same(Attack *attack, Datum a, Datum b, const char *what)
{
	attack->calls++;
	if (!same_bytes(a, b))
		fail(attack, psprintf("%s\na: %s\nb: %s", what, subject_text(attack->subject, a),
							  subject_text(attack->subject, b)), "of input");
}

/* Give a state to functions of its type: some of them, and all in the long run. */
static void
use_state(Attack *attack, Datum state, bool accepted)
{
	for (int i = 0; i < 6; i++)
		call_some(attack, state, accepted, 0);
	if (random_chance(&attack->random, 20))
		aggregate_state(attack, state, accepted);
}

static void
call_some(Attack *attack, Datum state, bool accepted, int depth)
{
	int			which = random_below(&attack->random, attack->functions->n);

	call_function(attack, &attack->functions->functions[which], state, accepted, depth);
}

/* The aggregate, in which a state comes as one of several or out of another process. */
static void
aggregate_state(Attack *attack, Datum state, bool accepted)
{
	Subject    *subject = attack->subject;
	NullableDatum arguments[2] = {{0, true}, {state, false}};
	Outcome		outcome;

	if (random_chance(&attack->random, 50))
	{
		NullableDatum sent[2] = {{state, false}, {0, false}};

		outcome = attempt(attack, "deserialize", subject->deserialize, sent, accepted);
		if (outcome.error != 0)
			return;
		arguments[0].value = outcome.value;
		arguments[0].isnull = false;
	}
	for (int i = 0; i < 3; i++)
	{
		outcome = attempt(attack, "accum", subject->accum, arguments, accepted);
		if (outcome.error != 0)
			return;
		arguments[0].value = outcome.value;
		arguments[0].isnull = outcome.is_null;
		arguments[1].value = good_state(attack);
	}
	(void) attempt(attack, "final", subject->final, arguments, accepted);
}

/* Call one with the state as one of its arguments of the type, the others good or bad. */
static void
call_function(Attack *attack, Function *function, Datum state, bool accepted, int depth)
{
	NullableDatum arguments[CALL_ARGUMENTS];
	bool		used = false;
	Outcome		outcome;
	Call	   *call = function->calls[random_below(&attack->random, function->variants)];

	for (int i = 0; i < call->arguments; i++)
		arguments[i] = argument_of(attack, call->types[i], state, &used);

	/*
	 * more than once, if the function takes two: perhaps the good one came
	 * first
	 */
	if (!used)
		return;
	outcome = attempt(attack, function->name, call, arguments, accepted);
	if (outcome.error == 0)
		function->results++;
	else
		function->errors++;
	if (outcome.error != 0 || outcome.is_null || function->result != attack->subject->type)
		return;
	/* what came of it may be no better, nor even be flat */
	if (depth == 0)
		call_some(attack, outcome.value, accepted, 1);
	if (accepted)
	{
		struct varlena *sent = (struct varlena *) DatumGetPointer(call_1(attack->subject->send, outcome.value));

		expect_same(attack, outcome.value,
					subject_receive(attack->subject, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent)),
					psprintf("the result of %s isn't valid", function->name));
	}
}

static NullableDatum
argument_of(Attack *attack, Oid type, Datum state, bool *used)
{
	Random	   *random = &attack->random;
	const char *json = elements[random_below(random, elements_count)].spellings[0];
	NullableDatum argument = {0, false};
	Datum		items[2];

	if (type == attack->subject->type && (!*used || random_chance(random, 50)) && random_chance(random, 80))
	{
		*used = true;
		argument.value = state;
		return argument;
	}
	switch (type)
	{
		case INT8OID:
			argument.value = Int64GetDatum(random_chance(random, 80) ? random_between(random, -2, 10)
										   : (int64) random_bits(random));
			break;
		case INT4OID:
			argument.value = Int32GetDatum(random_between(random, -2, 10));
			break;
		case BOOLOID:
			argument.value = BoolGetDatum(random_chance(random, 50));
			break;
		case TEXTOID:
			argument.value = PointerGetDatum(cstring_to_text(random_chance(random, 50) ? special_id(random) :
															 element_keys[random_below(random, element_keys_count)]));
			break;
		case JSONBOID:
			argument.value = json_parse(json);
			break;
		case INTERNALOID:
			argument.value = PointerGetDatum(palloc0(sizeof(int64)));
			break;
		case JSONBARRAYOID:
			items[0] = json_parse(json);
			items[1] = json_parse("1");
			argument.value = PointerGetDatum(construct_array(items, 2, JSONBOID, -1, false, TYPALIGN_INT));
			break;
		default:
			if (type == attack->subject->type)
				argument.value = good_state(attack);
			else
				argument.value = apply_sample(type);
	}
	return argument;
}
