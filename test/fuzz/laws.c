/*-------------------------------------------------------------------------
 *
 * laws.c
 *	  The laws of CRDTs, tried on random histories: crdt_laws() in SQL.
 *
 * Of each history some of the states that occurred are taken, and merged and
 * compared in all ways.  What that must give is known in two ways: from the laws
 * of a join semilattice, and from the model (see model.h), which knows the order
 * of the states without knowing them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "history.h"
#include "questions.h"

PG_MODULE_MAGIC;

/* how many states of a history are merged in all ways */
#define SAMPLE 3

/* Where we are, for errors. */
typedef struct Trial
{
	History    *history;
	int64		seed;
	int64		number;
} Trial;

static void describe_trial(void *arg);
static int64 try_history(History *history, Subject *subject, Mutators *mutators, Random random);
static void check_sample(History *history, const Snapshot *sample);
static void check_pair(History *history, const Snapshot *a, const Snapshot *b);
static void check_order(History *history, const Snapshot *a, const Snapshot *b);
static void check_forms(History *history, const Snapshot *snapshot);
static void check_associative(History *history, const Snapshot *sample);
static void check_convergence(History *history);
static void shuffle(Random *random, int *order, int n);
static void expect(History *history, bool holds, const char *law, Datum a, Datum b);
static void expect_same(History *history, const char *law, Datum a, Datum b);

PG_FUNCTION_INFO_V1(crdt_laws);

/*
 * crdt_laws(type text, seed bigint, histories int, first int): how much was checked
 *
 * Raises an error at the first law that is broken.
 */
Datum
crdt_laws(PG_FUNCTION_ARGS)
{
	Subject    *subject = subject_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Mutators   *mutators = mutators_open();
	Trial		trial = {palloc0(sizeof(History)), PG_GETARG_INT64(1)};
	ErrorContextCallback context = {error_context_stack, describe_trial, &trial};
	MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "history", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(memory);
	int64		first = PG_GETARG_INT32(3);
	int64		checks = 0;

	error_context_stack = &context;
	for (trial.number = first; trial.number < first + PG_GETARG_INT32(2); trial.number++)
	{
		CHECK_FOR_INTERRUPTS();
		checks += try_history(trial.history, subject, mutators, random_of_trial(trial.seed, trial.number));
		MemoryContextReset(memory);
	}
	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
	PG_RETURN_INT64(checks);
}

/* How to see it again, and what has happened. */
static void
describe_trial(void *arg)
{
	Trial	   *trial = (Trial *) arg;
	StringInfoData text;

	if (trial->history->subject == NULL)
		return;
	initStringInfo(&text);
	history_describe(&text, trial->history);
	errcontext("SELECT crdt_laws('%s', " INT64_FORMAT ", 1, " INT64_FORMAT ")\n%s",
			   trial->history->subject->name, trial->seed, trial->number, text.data);
}

static int64
try_history(History *history, Subject *subject, Mutators *mutators, Random random)
{
	Snapshot	sample[SAMPLE];
	int			steps;

	history_begin(history, subject, mutators, random);
	steps = random_chance(&history->random, 5) ? random_between(&history->random, 30, 90)
		: random_between(&history->random, 1, 16);
	for (int i = 0; i < steps; i++)
		history_step(history);
	for (int i = 0; i < SAMPLE; i++)
	{
		if (i < history->log.replicas && random_chance(&history->random, 60))
			sample[i] = history->replicas[i];
		else
			sample[i] = history->snapshots[random_below(&history->random, history->n)];
	}
	check_sample(history, sample);
	check_convergence(history);
	return history->checks;
}

/* All laws of one, two and three states. */
static void
check_sample(History *history, const Snapshot *sample)
{
	for (int i = 0; i < SAMPLE; i++)
	{
		check_forms(history, &sample[i]);
		check_pair(history, &sample[i], &sample[(i + 1) % SAMPLE]);
		for (int j = 0; j < SAMPLE; j++)
			check_order(history, &sample[i], &sample[j]);
	}
	check_associative(history, sample);
	question_state(history, &sample[0]);
}

static void
check_pair(History *history, const Snapshot *a, const Snapshot *b)
{
	Subject    *subject = history->subject;
	Snapshot	joined = {call_2(subject->merge, a->state, b->state), a->seen | b->seen};

	expect_same(history, "commutative: a || b, b || a", joined.state,
				call_2(subject->merge, b->state, a->state));
	expect_same(history, "idempotent: a || (a || b), a || b", joined.state,
				call_2(subject->merge, a->state, joined.state));
	expect(history, DatumGetBool(call_2(subject->contained, a->state, joined.state)),
		   "a <@ a || b", a->state, joined.state);
	expect(history, DatumGetBool(call_2(subject->contained, b->state, joined.state)),
		   "b <@ a || b", b->state, joined.state);
	history_expect_value(history, joined.state, joined.seen);
	check_order(history, &joined, a);
	check_order(history, a, &joined);
}

/* The order, and equality, must be those of what was seen. */
static void
check_order(History *history, const Snapshot *a, const Snapshot *b)
{
	Subject    *subject = history->subject;
	Place		root = model_root(&history->log);
	bool		within = model_within(&history->log, &root, a->seen, b->seen);
	bool		equal = within && model_within(&history->log, &root, b->seen, a->seen);

	expect(history, DatumGetBool(call_2(subject->contained, a->state, b->state)) == within,
		   within ? "a <@ b, by what was seen" : "not a <@ b, by what was seen", a->state, b->state);
	expect(history, DatumGetBool(call_2(subject->contains, b->state, a->state)) == within,
		   "b @> a as a <@ b", a->state, b->state);
	expect(history, DatumGetBool(call_2(subject->eq, a->state, b->state)) == equal,
		   equal ? "a = b, by what was seen" : "a <> b, by what was seen", a->state, b->state);
	expect(history, DatumGetBool(call_2(subject->ne, a->state, b->state)) != equal,
		   "a <> b as not a = b", a->state, b->state);
	expect(history, same_bytes(a->state, b->state) == equal,
		   "equal states have equal bytes, and others haven't", a->state, b->state);
	if (equal)
		expect(history, call_1(subject->hash, a->state) == call_1(subject->hash, b->state) &&
			   DatumGetUInt64(call_2(subject->hash_extended, a->state, Int64GetDatum(1))) ==
			   DatumGetUInt64(call_2(subject->hash_extended, b->state, Int64GetDatum(1))),
			   "equal states have equal hashes", a->state, b->state);
}

/* Text and binary form keep a state as it is. */
static void
check_forms(History *history, const Snapshot *snapshot)
{
	Subject    *subject = history->subject;
	char	   *text = subject_text(subject, snapshot->state);
	bytea	   *sent = DatumGetByteaPP(call_1(subject->send, snapshot->state));

	expect_same(history, "text form keeps the state", snapshot->state, subject_parse(subject, text));
	expect_same(history, "text form keeps the state, as jsonb writes it", snapshot->state,
				subject_parse(subject, json_text(json_parse(text))));
	expect_same(history, "binary form keeps the state", snapshot->state,
				subject_receive(subject, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent)));
	expect_same(history, "idempotent: a || a, a", snapshot->state,
				call_2(subject->merge, snapshot->state, snapshot->state));
}

static void
check_associative(History *history, const Snapshot *sample)
{
	Call	   *merge = history->subject->merge;
	Datum		left = call_2(merge, call_2(merge, sample[0].state, sample[1].state), sample[2].state);
	Datum		right = call_2(merge, sample[0].state, call_2(merge, sample[1].state, sample[2].state));

	expect_same(history, "associative: (a || b) || c, a || (b || c)", left, right);
	history_expect_value(history, left, sample[0].seen | sample[1].seen | sample[2].seen);
}

/*
 * When everybody has heard of everything, all are the same, in whatever order
 * they have heard; and so is what the aggregate makes of all.
 */
static void
check_convergence(History *history)
{
	Subject    *subject = history->subject;
	int			n = history->log.replicas;
	int			order[MAX_REPLICAS];
	Datum		states[MAX_REPLICAS + 1];
	Datum		all = 0;
	OpSet		seen = 0;

	for (int i = 0; i < n; i++)
	{
		order[i] = i;
		seen |= history->replicas[i].seen;
	}
	for (int i = 0; i < n; i++)
	{
		Datum		state = history->replicas[i].state;

		shuffle(&history->random, order, n);
		for (int j = 0; j < n; j++)
			state = call_2(subject->merge, state, history->replicas[order[j]].state);
		if (i > 0)
			expect_same(history, "all replicas become the same", all, state);
		all = state;
	}
	history_expect_value(history, all, seen);
	for (int i = 0; i < n; i++)
		states[i] = history->replicas[order[i]].state;
	states[n] = history->snapshots[random_below(&history->random, history->n)].state;
	expect_same(history, "merge() is || of all", all,
				subject_aggregate(subject, states, n + 1, random_between(&history->random, 1, n + 1)));
}

static void
shuffle(Random *random, int *order, int n)
{
	for (int i = n - 1; i > 0; i--)
	{
		int			j = random_below(random, i + 1);
		int			swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

static void
expect(History *history, bool holds, const char *law, Datum a, Datum b)
{
	history->checks++;
	if (!holds)
		history_fail(history, "%s\na: %s\nb: %s", law,
					 subject_text(history->subject, a), subject_text(history->subject, b));
}

static void
expect_same(History *history, const char *law, Datum a, Datum b)
{
	expect(history, same_bytes(a, b), law, a, b);
}
