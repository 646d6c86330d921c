/*-------------------------------------------------------------------------
 *
 * questions.c
 *	  What a type's own functions say of a state, compared with the model.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "elements.h"
#include "questions.h"

static Datum ask(History *history, const char *name, Datum state);
static Datum ask_of(History *history, const char *name, Datum state, Oid type, Datum argument);
static void question_vclock(History *history, const Snapshot *snapshot);
static void question_bcounter(History *history, const Snapshot *snapshot);
static void question_lww_register(History *history, const Snapshot *snapshot);
static void question_row_version(History *history, const Snapshot *snapshot);
static void question_set(History *history, const Snapshot *snapshot);
static void question_elements(History *history, const Snapshot *snapshot);
static void question_map(History *history, const Snapshot *snapshot);
static void question_keys(History *history, const Snapshot *snapshot, OpSet present);

/* Ask what there is to ask. */
void
question_state(History *history, const Snapshot *snapshot)
{
	switch (history->log.type)
	{
		case VCLOCK:
			question_vclock(history, snapshot);
			break;
		case BCOUNTER:
			question_bcounter(history, snapshot);
			break;
		case LWW_REGISTER:
			question_lww_register(history, snapshot);
			break;
		case ROW_VERSION:
			question_row_version(history, snapshot);
			break;
		case GSET:
		case TWOPSET:
		case ORSET:
			question_set(history, snapshot);
			question_elements(history, snapshot);
			break;
		case MV_REGISTER:
			question_elements(history, snapshot);
			break;
		case ORMAP:
			question_map(history, snapshot);
			break;
		default:
			break;
	}
}

static Datum
ask(History *history, const char *name, Datum state)
{
	return call_1(mutators_call(history->mutators, name, history->log.type, InvalidOid, InvalidOid), state);
}

static Datum
ask_of(History *history, const char *name, Datum state, Oid type, Datum argument)
{
	history->checks++;
	return call_2(mutators_call(history->mutators, name, history->log.type, type, InvalidOid), state, argument);
}

/* compare() with all that there was */
static void
question_vclock(History *history, const Snapshot *snapshot)
{
	Place		root = model_root(&history->log);

	for (int i = 0; i < history->n; i++)
	{
		const Snapshot *other = &history->snapshots[i];
		bool		within = model_within(&history->log, &root, snapshot->seen, other->seen);
		bool		contains = model_within(&history->log, &root, other->seen, snapshot->seen);
		const char *expected = within ? (contains ? "equal" : "before") : (contains ? "after" : "concurrent");
		char	   *said = TextDatumGetCString(ask_of(history, "compare", snapshot->state,
													  history->subject->type, other->state));

		if (strcmp(said, expected) != 0)
			history_fail(history, "compare() says %s, not %s", said, expected);
	}
}

/* Everybody's rights; all of them together are what is left above the bound. */
static void
question_bcounter(History *history, const Snapshot *snapshot)
{
	Place		root = model_root(&history->log);

	if (DatumGetInt64(ask(history, "bound", snapshot->state)) != model_bound(&history->log, &root, snapshot->seen))
		history_fail(history, "bound() is wrong");
	for (int i = 0; i < history->log.replicas && !history->large; i++)
	{
		char	   *id = psprintf("%" INT64_MODIFIER "x", history->log.ids[i]);
		int64		said = DatumGetInt64(ask_of(history, "rights", snapshot->state, TEXTOID,
												PointerGetDatum(cstring_to_text(id))));
		int64		expected = (int64) model_rights(&history->log, &root, snapshot->seen, i);

		if (said != expected)
			history_fail(history, "rights of %s are " INT64_FORMAT ", not " INT64_FORMAT, id, said, expected);
	}
}

static void
question_lww_register(History *history, const Snapshot *snapshot)
{
	Place		root = model_root(&history->log);
	Assignment	expected = model_assignment(&history->log, &root, snapshot->seen);

	if (expected.stamp == 0)
		return;
	if (DatumGetInt64(ask(history, "stamp", snapshot->state)) != expected.stamp)
		history_fail(history, "stamp() isn't " INT64_FORMAT, expected.stamp);
	if (strtou64(TextDatumGetCString(ask(history, "replica", snapshot->state)), NULL, 16) != expected.id)
		history_fail(history, "replica() isn't %" INT64_MODIFIER "x", expected.id);
}

/* What single functions say must be what the whole value says, which the model has judged. */
static void
question_row_version(History *history, const Snapshot *snapshot)
{
	StringInfoData said;
	NullableDatum argument = {snapshot->state, false};
	Outcome		stamp = call_nullable(mutators_call(history->mutators, "stamp", ROW_VERSION, InvalidOid, InvalidOid),
									  &argument, NULL);
	Outcome		replica = call_nullable(mutators_call(history->mutators, "replica", ROW_VERSION, InvalidOid, InvalidOid),
										&argument, NULL);
	ArrayType  *conflicts = DatumGetArrayTypeP(ask(history, "conflicts", snapshot->state));
	Datum	   *names;
	bool	   *nulls;
	int			n;
	char	   *expected = subject_value(history->subject, snapshot->state);

	initStringInfo(&said);
	appendStringInfo(&said, "{\"lives\": %s", DatumGetBool(ask(history, "lives", snapshot->state)) ? "true" : "false");
	if (!stamp.is_null)
		appendStringInfo(&said, ", \"stamp\": " INT64_FORMAT, DatumGetInt64(stamp.value));
	if (!replica.is_null)
		appendStringInfo(&said, ", \"replica\": \"%s\"", TextDatumGetCString(replica.value));
	deconstruct_array(conflicts, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(&said, i == 0 ? ", \"conflicts\": [" : ", ");
		escape_json(&said, TextDatumGetCString(names[i]));
	}
	appendStringInfoString(&said, n > 0 ? "]}" : "}");
	if (strcmp(json_text(json_parse(said.data)), expected) != 0)
		history_fail(history, "functions say %s of %s", said.data, expected);
	history->checks++;
}

/* Membership of everything. */
static void
question_set(History *history, const Snapshot *snapshot)
{
	Place		root = model_root(&history->log);
	OpSet		members = 0;

	for (OpSet present = model_present(&history->log, &root, snapshot->seen); present != 0;)
		members |= OP(history->log.operations[model_next(&present)].element);
	for (int i = 0; i < history->elements_used; i++)
	{
		int			element = history->elements[i];
		bool		is_member = (members & OP(element)) != 0;

		if (DatumGetBool(ask_of(history, "is_member", snapshot->state, JSONBOID,
								json_parse(elements[element].spellings[i % SPELLINGS]))) != is_member)
			history_fail(history, "? is wrong about %s", elements[element].canonical);
	}
}

/* elements() of the state, each as JSON text in brackets */
static void
question_elements(History *history, const Snapshot *snapshot)
{
	NullableDatum argument = {snapshot->state, false};
	Call	   *call = mutators_call(history->mutators, "elements", history->log.type, InvalidOid, InvalidOid);
	List	   *rows = call_rows(call, &argument);
	ListCell   *cell;
	StringInfoData text;

	initStringInfo(&text);
	foreach(cell, rows)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", json_text(PointerGetDatum(lfirst(cell))));
	if (strcmp(psprintf("[%s]", text.data), subject_value(history->subject, snapshot->state)) != 0)
		history_fail(history, "elements() are %s", text.data);
	if (DatumGetInt64(ask(history, "cardinality", snapshot->state)) != list_length(rows))
		history_fail(history, "cardinality() isn't %d", list_length(rows));
	history->checks++;
}

/* The keys, and the value of what is at each of them. */
static void
question_map(History *history, const Snapshot *snapshot)
{
	Log		   *log = &history->log;
	Place		root = model_root(log);
	OpSet		present = model_present(log, &root, snapshot->seen);

	question_keys(history, snapshot, present);
	for (int i = 0; i < history->keys_used * history->types_used; i++)
	{
		Step		step = {history->keys[i / history->types_used], history->types[i % history->types_used]};
		Oid			type = mutators_type(history->mutators, step.type);
		Place		child = model_child(&root, step);
		NullableDatum arguments[] = {
			{snapshot->state, false},
			{PointerGetDatum(cstring_to_text(element_keys[step.key])), false},
			{0, true}
		};
		Outcome		got = call_nullable(mutators_call(history->mutators, "get", ORMAP, TEXTOID, type), arguments, NULL);
		StringInfoData expected;
		char	   *value;

		history->checks++;
		if (got.is_null)
			continue;
		initStringInfo(&expected);
		model_value(&expected, log, &child, snapshot->seen);
		value = json_text(call_1(mutators_call(history->mutators, "jsonb", step.type, InvalidOid, InvalidOid),
								 got.value));
		if (strcmp(value, json_text(json_parse(expected.data))) != 0)
			history_fail(history, "get() of \"%s\" as %s has the value %s, not %s", element_keys[step.key],
						 model_type_names[step.type], value, expected.data);
	}
}

static void
question_keys(History *history, const Snapshot *snapshot, OpSet present)
{
	Place		root = model_root(&history->log);
	NullableDatum argument = {snapshot->state, false};
	uint64		keys = 0;
	int			expected = 0;
	List	   *rows;
	ListCell   *cell;

	while (present != 0)
		keys |= OP(model_step(&history->log, model_next(&present), &root).key);
	for (int i = 0; i < element_keys_count; i++)
	{
		bool		is_member = (keys & OP(i)) != 0;

		if (DatumGetBool(ask_of(history, "has_key", snapshot->state, TEXTOID,
								PointerGetDatum(cstring_to_text(element_keys[i])))) != is_member)
			history_fail(history, "? is wrong about \"%s\"", element_keys[i]);
		expected += is_member;
	}
	if (DatumGetInt64(ask(history, "cardinality", snapshot->state)) != expected)
		history_fail(history, "cardinality() isn't %d", expected);
	rows = call_rows(mutators_call(history->mutators, "keys", ORMAP, InvalidOid, InvalidOid), &argument);
	foreach(cell, rows)
	{
		for (int i = 0; i < element_keys_count; i++)
		{
			if (strcmp(TextDatumGetCString(PointerGetDatum(lfirst(cell))), element_keys[i]) == 0)
				keys &= ~OP(i);
		}
	}
	if (keys != 0 || list_length(rows) != expected)
		history_fail(history, "keys() are wrong");
}
