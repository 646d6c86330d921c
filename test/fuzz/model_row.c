/*-------------------------------------------------------------------------
 *
 * model_row.c
 *	  What the version of a row should be, where certain operations were seen.
 *
 * There are no functions in SQL that change a version.  So here is said what the
 * whole state is, which is also how operations are done to it: see apply.c.
 *
 * Only the operations of the largest length count.  Each is an event, so what one
 * state knows more than another one is seen in the operations themselves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/json.h"

#include "elements.h"
#include "model.h"

static int	next_author(const Log *log, int last);
static int	next_key(int last);
static int	count(OpSet set);
static bool is_later(const Log *log, int a, int b);
static int	latest(const Log *log, OpSet set, bool first);
static OpSet of_key(const Log *log, OpSet set, int key);
static OpSet covered(const Log *log, OpSet known);
static OpSet assigned(const Log *log, OpSet known, int key);
static bool is_conflict(const Log *log, OpSet values);
static void append_counts(StringInfo out, const char *name, const Log *log, OpSet set);
static void append_stamp(StringInfo out, const Log *log, int operation);
static void append_write(StringInfo out, const Log *log, int operation);
static void append_column(StringInfo out, const Log *log, OpSet known, int key);
static void append_values(StringInfo out, const Log *log, OpSet known, int key);
static const char *separator(StringInfo out);

/* The causal length where these were seen. */
int
model_length(const Log *log, OpSet seen)
{
	int			length = 1;

	while (seen != 0)
	{
		const Operation *operation = &log->operations[model_next(&seen)];

		length = Max(length, operation->length);
	}
	return length;
}

/* Those of the largest length: all that a version knows. */
OpSet
model_row_known(const Log *log, OpSet seen)
{
	int			length = model_length(log, seen);
	OpSet		result = 0;

	while (seen != 0)
	{
		int			i = model_next(&seen);

		if (log->operations[i].length == length)
			result |= OP(i);
	}
	return result;
}

/* Replicas by ascending id; the first one if last is -1, -1 if there are no more. */
static int
next_author(const Log *log, int last)
{
	int			next = -1;

	for (int i = 0; i < log->replicas; i++)
	{
		if ((last < 0 || log->ids[i] > log->ids[last]) && (next < 0 || log->ids[i] < log->ids[next]))
			next = i;
	}
	return next;
}

/* The same of keys, by their bytes. */
static int
next_key(int last)
{
	int			next = -1;

	for (int i = 0; i < element_keys_count; i++)
	{
		if ((last < 0 || strcmp(element_keys[i], element_keys[last]) > 0) &&
			(next < 0 || strcmp(element_keys[i], element_keys[next]) < 0))
			next = i;
	}
	return next;
}

static int
count(OpSet set)
{
	int			n = 0;

	for (; set != 0; n++)
		(void) model_next(&set);
	return n;
}

/* Is the write of operation a later than that of b? */
static bool
is_later(const Log *log, int a, int b)
{
	const Operation *of_a = &log->operations[a];
	const Operation *of_b = &log->operations[b];

	if (of_a->stamp != of_b->stamp)
		return of_a->stamp > of_b->stamp;
	if (of_a->stamp_id != of_b->stamp_id)
		return of_a->stamp_id > of_b->stamp_id;
	return of_a->event > of_b->event;
}

/* The one with the largest stamp, or the smallest; -1 if there is none. */
static int
latest(const Log *log, OpSet set, bool first)
{
	int			result = -1;

	while (set != 0)
	{
		int			i = model_next(&set);

		if (result < 0 || (first ? is_later(log, result, i) : is_later(log, i, result)))
			result = i;
	}
	return result;
}

static OpSet
of_key(const Log *log, OpSet set, int key)
{
	OpSet		result = 0;

	while (set != 0)
	{
		int			i = model_next(&set);

		if (log->operations[i].key == key)
			result |= OP(i);
	}
	return result;
}

/* What deletions that give way had seen, and they themselves. */
static OpSet
covered(const Log *log, OpSet known)
{
	OpSet		deletions = model_of_kind(log, known, DELETE_SEEN);

	return (deletions | model_seen_by(log, deletions)) & known;
}

/* The assignments to a column that no later one has replaced. */
static OpSet
assigned(const Log *log, OpSet known, int key)
{
	OpSet		all = of_key(log, model_of_kind(log, known, ASSIGN), key);

	return all & ~model_seen_by(log, all);
}

/* Do assignments differ in what was assigned? */
static bool
is_conflict(const Log *log, OpSet values)
{
	int			one = values == 0 ? 0 : log->operations[model_next(&values)].element;

	while (values != 0)
	{
		if (log->operations[model_next(&values)].element != one)
			return true;
	}
	return false;
}

/* --- the state ----------------------------------------------------------- */

static const char *
separator(StringInfo out)
{
	return strchr("{[", out->data[out->len - 1]) != NULL ? "" : ", ";
}

static void
append_counts(StringInfo out, const char *name, const Log *log, OpSet set)
{
	if (set == 0)
		return;
	appendStringInfo(out, "%s\"%s\": {", separator(out), name);
	for (int i = 0; i < log->replicas; i++)
	{
		int			n = count(model_by(log, set, i));

		if (n > 0)
			appendStringInfo(out, "%s\"%" INT64_MODIFIER "x\": %d", separator(out), log->ids[i], n);
	}
	appendStringInfoChar(out, '}');
}

static void
append_stamp(StringInfo out, const Log *log, int operation)
{
	const Operation *op = &log->operations[operation];

	appendStringInfo(out, "%s\"stamp\": " INT64_FORMAT ", \"replica\": \"%" INT64_MODIFIER "x\"",
					 separator(out), op->stamp, op->stamp_id);
}

/* The same with the event, which users don't see. */
static void
append_write(StringInfo out, const Log *log, int operation)
{
	append_stamp(out, log, operation);
	if (log->operations[operation].event > 0)
		appendStringInfo(out, ", \"event\": %d", log->operations[operation].event);
}

/* The first write of a column, or a last one that is later than the row's. */
static void
append_column(StringInfo out, const Log *log, OpSet known, int key)
{
	OpSet		first = of_key(log, model_of_kind(log, known, WRITE_FIRST), key);
	OpSet		last = of_key(log, model_of_kind(log, known, WRITE_COLUMN), key);
	OpSet		rows = model_of_kind(log, known, WRITE);
	int			operation = first != 0 ? latest(log, first, true) : latest(log, last, false);

	if (operation < 0)
		return;
	if (first == 0 && rows != 0 && !is_later(log, operation, latest(log, rows, false)))
		return;
	appendStringInfoString(out, separator(out));
	escape_json(out, element_keys[key]);
	appendStringInfoString(out, ": {");
	append_write(out, log, operation);
	appendStringInfoString(out, first != 0 ? ", \"first\": true}" : "}");
}

static void
append_values(StringInfo out, const Log *log, OpSet known, int key)
{
	OpSet		values = assigned(log, known, key);

	if (values == 0)
		return;
	appendStringInfoString(out, separator(out));
	escape_json(out, element_keys[key]);
	appendStringInfoString(out, ": [");
	for (int author = next_author(log, -1); author >= 0; author = next_author(log, author))
	{
		for (OpSet rest = model_by(log, values, author); rest != 0;)
		{
			int			i = model_next(&rest);
			const Operation *op = &log->operations[i];

			appendStringInfo(out, "%s{\"stamp\": " INT64_FORMAT ", \"dot\": [\"%" INT64_MODIFIER "x\", %d], \"value\": ",
							 separator(out), op->stamp, log->ids[author],
							 count(model_by(log, known & op->seen, author)) + 1);
			if (strcmp(elements[op->element].canonical, "null") == 0)
				appendStringInfoString(out, "null}");
			else
			{
				escape_json(out, elements[op->element].canonical);
				appendStringInfoChar(out, '}');
			}
		}
	}
	appendStringInfoChar(out, ']');
}

/* Append the version as JSON, all of it. */
void
model_row_state(StringInfo out, const Log *log, OpSet seen)
{
	OpSet		known = model_row_known(log, seen);
	int			row = latest(log, model_of_kind(log, known, WRITE), false);

	appendStringInfo(out, "{\"length\": %d", model_length(log, seen));
	append_counts(out, "seen", log, known);
	append_counts(out, "deleted", log, covered(log, known));
	if (row >= 0)
		append_write(out, log, row);
	appendStringInfoString(out, ", \"columns\": {");
	for (int key = 0; key < element_keys_count; key++)
		append_column(out, log, known, key);
	appendStringInfoString(out, "}, \"values\": {");
	for (int key = 0; key < element_keys_count; key++)
		append_values(out, log, known, key);
	appendStringInfoString(out, "}}");
}

/* Append what users see of it. */
void
model_row_value(StringInfo out, const Log *log, OpSet seen)
{
	OpSet		known = model_row_known(log, seen);
	OpSet		deleted = covered(log, known);
	int			row = latest(log, model_of_kind(log, known, WRITE), false);
	int			conflicts = 0;

	appendStringInfo(out, "{\"lives\": %s",
					 model_length(log, seen) % 2 == 1 && (deleted == 0 || deleted != known) ? "true" : "false");
	if (row >= 0)
		append_stamp(out, log, row);
	for (int key = next_key(-1); key >= 0; key = next_key(key))
	{
		if (!is_conflict(log, assigned(log, known, key)))
			continue;
		appendStringInfoString(out, conflicts++ == 0 ? ", \"conflicts\": [" : ", ");
		escape_json(out, element_keys[key]);
	}
	appendStringInfoString(out, conflicts > 0 ? "]}" : "}");
}
