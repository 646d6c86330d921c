/*-------------------------------------------------------------------------
 *
 * history.c
 *	  A random history: operations at several replicas, and what reaches whom.
 *
 * What reaches a replica is a state that some replica had at some time, which may
 * be long ago, or what two such states are merged to.  After each step the replica
 * that it concerned is compared with the model.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/expandeddatum.h"

#include "elements.h"
#include "history.h"

static void begin_large(History *history);
static void draw_ids(History *history);
static void draw_stock(History *history);
static void draw_operation(History *history, Operation *operation);
static Place draw_place(History *history);
static Kind draw_kind(History *history, ModelType type, int depth);
static int64 draw_amount(History *history, ModelType type);
static Datum settle(History *history, Datum state);
static void operate(History *history);
static void deliver(History *history);
static void expect_row_state(History *history, Datum state, OpSet seen);
static void remember(History *history, Snapshot snapshot);

/* --- what it is about ---------------------------------------------------- */

/* Begin one: replicas that know nothing. */
void
history_begin(History *history, Subject *subject, Mutators *mutators, Random random)
{
	Log		   *log = &history->log;
	const char *nothing = strcmp(subject->name, "gset") == 0 ? "[]" : "{}";

	memset(history, 0, offsetof(History, snapshots));
	history->n = 0;
	history->checks = 0;
	history->subject = subject;
	history->mutators = mutators;
	history->random = random;
	log->n = 0;
	while (strcmp(model_type_names[log->type], subject->name) != 0)
		log->type++;
	log->replicas = random_between(&history->random, 2, MAX_REPLICAS);
	draw_ids(history);
	draw_stock(history);
	if (log->type == BCOUNTER && random_chance(&history->random, 50))
	{
		log->bound = random_between(&history->random, -20, 20);
		nothing = psprintf("{\"bound\": " INT64_FORMAT "}", log->bound);
	}
	for (int i = 0; i < log->replicas; i++)
	{
		Snapshot	begin = {subject_parse(subject, nothing), 0};

		history->replicas[i] = begin;
	}
	remember(history, history->replicas[0]);
	if (history->expanded && log->type != ORMAP)
		begin_large(history);
}

/* All begin with a set that has a long element. */
static void
begin_large(History *history)
{
	Log		   *log = &history->log;
	Operation  *operation = &log->operations[0];

	if (log->type != GSET && log->type != TWOPSET && log->type != ORSET)
		return;
	memset(operation, 0, sizeof(Operation));
	operation->place = model_root(log);
	operation->kind = ADD;
	operation->element = history->elements[0];
	history->replicas[0].state = apply_operation(history->mutators, log, operation, history->replicas[0].state).value;
	history->replicas[0].seen = OP(0);
	log->n = 1;
	for (int i = 1; i < log->replicas; i++)
		history->replicas[i] = history->replicas[0];
	remember(history, history->replicas[0]);
}

/* A replica id of those that occur again and again. */
uint64
history_special_id(Random *random)
{
	static const uint64 special[] = {
		1, 2, 0x10, 0x100, UINT64CONST(0x7fffffffffffffff), UINT64CONST(0x8000000000000000),
		UINT64CONST(0xffffffffffffffff), UINT64CONST(0xff00000000000000)
	};

	return special[random_below(random, lengthof(special))];
}

/* Replica ids, in no order: most at random. */
static void
draw_ids(History *history)
{
	Log		   *log = &history->log;

	for (int i = 0; i < log->replicas;)
	{
		uint64		id = random_bits(&history->random);
		bool		is_new = id != 0;

		if (random_chance(&history->random, 40))
			id = history_special_id(&history->random);
		for (int j = 0; j < i; j++)
			is_new = is_new && log->ids[j] != id;
		if (is_new)
			log->ids[i++] = id;
	}
}

/* The few elements, keys and types that its operations take. */
static void
draw_stock(History *history)
{
	Random	   *random = &history->random;
	ModelType	type;

	history->elements_used = random_between(random, 1, lengthof(history->elements));
	for (int i = 0; i < history->elements_used; i++)
	{
		/* the long one makes histories slow */
		do
			history->elements[i] = random_below(random, elements_count);
		while (history->elements[i] == elements_long());
	}
	history->keys_used = random_between(random, 1, lengthof(history->keys));
	for (int i = 0; i < history->keys_used; i++)
		history->keys[i] = random_below(random, element_keys_count);
	history->types_used = random_between(random, 1, 3);
	for (int i = 0; i < history->types_used; i++)
	{
		do
			type = random_below(random, MODEL_TYPES);
		while (!model_type_nests(type));
		history->types[i] = type;
	}
	history->large = random_chance(random, 5);
	history->imports = random_chance(random, 50);
	history->expanded = random_chance(random, 20);
	if (history->expanded)
		history->elements[0] = elements_long();
}

static void
draw_operation(History *history, Operation *operation)
{
	Random	   *random = &history->random;
	Log		   *log = &history->log;

	memset(operation, 0, sizeof(Operation));
	operation->author = random_below(random, log->replicas);
	operation->seen = history->replicas[operation->author].seen;
	operation->place = draw_place(history);
	operation->kind = draw_kind(history, operation->place.type, operation->place.depth);
	if (operation->kind == INCREMENT || operation->kind == DECREMENT || operation->kind == TRANSFER)
		operation->amount = draw_amount(history, operation->place.type);
	if (operation->kind == IMPORT)
		operation->amount = random_between(random, -25, 25);
	operation->element = history->elements[random_below(random, history->elements_used)];
	operation->spelling = random_below(random, SPELLINGS);
	operation->key = history->keys[random_below(random, history->keys_used)];
	operation->target = (operation->author + random_between(random, 1, log->replicas - 1)) % log->replicas;
	operation->stamp = random_between(random, 1, 4);
	if (log->n > 0 && random_chance(random, 50))
		operation->stamp = log->operations[random_below(random, log->n)].stamp + random_between(random, -1, 1);
	if (operation->stamp < 1)
		operation->stamp = 1;
	operation->stamp_id = log->ids[random_below(random, log->replicas)];
	operation->event = random_below(random, 4);
	operation->length = model_length(log, operation->seen) + (operation->kind == NEXT_LENGTH ? 1 : 0);
}

/* At the top, or below keys of maps. */
static Place
draw_place(History *history)
{
	Random	   *random = &history->random;
	Place		place = model_root(&history->log);
	int			deepest = random_chance(random, 5) ? MAX_NESTING : 2;

	while (place.type == ORMAP && place.depth < deepest && random_chance(random, 80))
	{
		Step		step;

		step.key = history->keys[random_below(random, history->keys_used)];
		step.type = history->types[random_below(random, history->types_used)];
		place = model_child(&place, step);
	}
	return place;
}

static Kind
draw_kind(History *history, ModelType type, int depth)
{
	int			roll = random_below(&history->random, 100);

	switch (type)
	{
		case GCOUNTER:
		case VCLOCK:
			return INCREMENT;
		case PNCOUNTER:
			return roll < 45 ? INCREMENT : roll < 80 ? DECREMENT : RESET;
		case BCOUNTER:
			return roll < 40 ? INCREMENT : roll < 70 ? DECREMENT : roll < 95 ? TRANSFER : IMPORT;
		case LWW_REGISTER:
			return history->imports && roll < 80 ? IMPORT : ASSIGN;
		case MV_REGISTER:
			return roll < 80 ? ASSIGN : CLEAR;
		case GSET:
			return ADD;
		case TWOPSET:
			return roll < 60 ? ADD : REMOVE;
		case ORSET:
			return roll < 60 ? ADD : roll < 92 ? REMOVE : CLEAR;
		case EW_FLAG:
		case DW_FLAG:
			return roll < 50 ? ENABLE : DISABLE;
		case ORMAP:
			return depth > 0 && roll < 30 ? TOUCH : roll < 90 ? REMOVE_KEY : CLEAR;
		case ROW_VERSION:
			return roll < 25 ? WRITE : roll < 45 ? WRITE_COLUMN : roll < 58 ? WRITE_FIRST :
				roll < 85 ? ASSIGN : roll < 95 ? DELETE_SEEN : NEXT_LENGTH;
	}
	return INCREMENT;
}

static int64
draw_amount(History *history, ModelType type)
{
	Random	   *random = &history->random;

	if (type == VCLOCK)
		return 1;
	/* only counters at the top are expected to overflow */
	if (history->large && history->log.type == type && random_chance(random, 30))
		return PG_INT64_MAX >> (random_chance(random, 50) ? random_below(random, 3) : random_below(random, 62));
	return random_chance(random, 10) ? random_between(random, 100, 100000) : random_between(random, 0, 5);
}

/* --- going on ------------------------------------------------------------ */

/* One step: an operation, or something is delivered. */
void
history_step(History *history)
{
	if (history->log.n < MAX_OPERATIONS && random_chance(&history->random, 65))
		operate(history);
	else
		deliver(history);
}

static void
remember(History *history, Snapshot snapshot)
{
	if (history->n < MAX_SNAPSHOTS)
		history->snapshots[history->n++] = snapshot;
}

/*
 * What a function returned, as a variable would keep it: an expanded object, if it
 * is one, which others may use too and nobody may change; or flat.
 */
static Datum
settle(History *history, Datum state)
{
	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(state)))
		return state;
	if (random_chance(&history->random, 30))
		return PointerGetDatum(PG_DETOAST_DATUM(state));
	return MakeExpandedObjectReadOnly(state, false, -1);
}

/* A replica does something, which must only ever go up. */
static void
operate(History *history)
{
	Subject    *subject = history->subject;
	Log		   *log = &history->log;
	Operation  *operation = &log->operations[log->n];
	Snapshot   *replica;
	Datum		before;
	Outcome		outcome;
	int			expected;

	draw_operation(history, operation);
	replica = &history->replicas[operation->author];
	before = replica->state;
	expected = operation->place.depth == 0 ? model_expected_error(log, operation) : 0;
	outcome = apply_operation(history->mutators, log, operation, before);
	if (outcome.error != expected)
	{
		char	   *wanted = pstrdup(unpack_sql_state(expected));

		log->n++;
		history_fail(history, "operation #%d should end with SQLSTATE %s, not %s: %s", log->n - 1,
					 wanted, unpack_sql_state(outcome.error),
					 outcome.message ? outcome.message : "");
	}
	history->checks++;
	if (outcome.error != 0)
		return;
	replica->state = settle(history, outcome.value);
	replica->seen |= OP(log->n);
	log->n++;
	if (!DatumGetBool(call_2(subject->contains, replica->state, before)))
		history_fail(history, "operation #%d gave a state that doesn't contain the one before", log->n - 1);
	history_expect_value(history, replica->state, replica->seen);
	remember(history, *replica);
}

/* What some replica knew once reaches another one, or itself. */
static void
deliver(History *history)
{
	Subject    *subject = history->subject;
	Random	   *random = &history->random;
	Snapshot   *replica = &history->replicas[random_below(random, history->log.replicas)];
	Snapshot	arriving = history->replicas[random_below(random, history->log.replicas)];

	if (random_chance(random, 50))
		arriving = history->snapshots[random_below(random, history->n)];
	if (random_chance(random, 10))
	{
		Snapshot	other = history->snapshots[random_below(random, history->n)];

		arriving.state = call_2(subject->merge, arriving.state, other.state);
		arriving.seen |= other.seen;
	}
	if (random_chance(random, 50))
		replica->state = call_2(subject->merge, replica->state, arriving.state);
	else
		replica->state = call_2(subject->merge, arriving.state, replica->state);
	replica->seen |= arriving.seen;
	history_expect_value(history, replica->state, replica->seen);
	remember(history, *replica);
}

/* --- judging ------------------------------------------------------------- */

/* A state must have the value that the model has for what it has seen. */
void
history_expect_value(History *history, Datum state, OpSet seen)
{
	Place		root = model_root(&history->log);
	StringInfoData expected;
	char	   *value;

	initStringInfo(&expected);
	model_value(&expected, &history->log, &root, seen);
	value = subject_value(history->subject, state);
	if (strcmp(value, expected.data) != 0 &&
		strcmp(value, json_text(json_parse(expected.data))) != 0)
		history_fail(history, "value is %s instead of %s, where %" INT64_MODIFIER "x was seen: %s",
					 value, expected.data, seen, subject_text(history->subject, state));
	history->checks++;
	if (history->log.type == ROW_VERSION)
		expect_row_state(history, state, seen);
}

/* The model knows more of the version of a row than its value. */
static void
expect_row_state(History *history, Datum state, OpSet seen)
{
	StringInfoData expected;

	initStringInfo(&expected);
	model_row_state(&expected, &history->log, seen);
	if (!same_bytes(subject_parse(history->subject, expected.data), state))
		history_fail(history, "state is %s instead of %s, where %" INT64_MODIFIER "x was seen",
					 subject_text(history->subject, state), expected.data, seen);
	history->checks++;
}

/* Append all that has happened. */
void
history_describe(StringInfo out, const History *history)
{
	const Log  *log = &history->log;

	appendStringInfoString(out, "replica ids");
	for (int i = 0; i < log->replicas; i++)
		appendStringInfo(out, " %" INT64_MODIFIER "x", log->ids[i]);
	if (log->type == BCOUNTER)
		appendStringInfo(out, ", bound " INT64_FORMAT, log->bound);
	for (int i = 0; i < log->n; i++)
	{
		appendStringInfoChar(out, '\n');
		model_describe(out, log, i);
	}
}

/* A law is broken. */
void
history_fail(History *history, const char *law,...)
{
	StringInfoData text;
	va_list		args;
	int			needed;

	initStringInfo(&text);
	do
	{
		va_start(args, law);
		needed = appendStringInfoVA(&text, law, args);
		va_end(args);
		if (needed > 0)
			enlargeStringInfo(&text, needed);
	} while (needed > 0);
	elog(ERROR, "a law is broken: %s", text.data);
}
