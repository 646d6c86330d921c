/*-------------------------------------------------------------------------
 *
 * model_value.c
 *	  What a user should see at a replica that has seen certain operations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/json.h"

#include "elements.h"
#include "model.h"

static bool was_removed(const Log *log, OpSet acting, int element);
static void append_int128(StringInfo out, __int128 value);
static __int128 counter_value(const Log *log, const Place *place, OpSet seen);
static void append_vector(StringInfo out, const Log *log, OpSet set);
static void append_elements(StringInfo out, const Log *log, OpSet additions);
static void append_flag(StringInfo out, const Log *log, OpSet assignments);
static void append_map(StringInfo out, const Log *log, const Place *place, OpSet seen);
static bool append_member(StringInfo out, const Log *log, const Place *place, OpSet seen, int key);

/* Append the value of what is at the place, as JSON. */
void
model_value(StringInfo out, const Log *log, const Place *place, OpSet seen)
{
	OpSet		present = model_present(log, place, seen);
	Assignment	assigned;

	switch (place->type)
	{
		case GCOUNTER:
		case PNCOUNTER:
		case BCOUNTER:
			append_int128(out, counter_value(log, place, seen));
			break;
		case VCLOCK:
			append_vector(out, log, present);
			break;
		case LWW_REGISTER:
			assigned = model_assignment(log, place, seen);
			appendStringInfoString(out, assigned.stamp == 0 || assigned.none ? "null" :
								   elements[assigned.element].canonical);
			break;
		case MV_REGISTER:
		case GSET:
		case TWOPSET:
		case ORSET:
			append_elements(out, log, present);
			break;
		case EW_FLAG:
		case DW_FLAG:
			append_flag(out, log, present);
			break;
		case ORMAP:
			append_map(out, log, place, seen);
			break;
		case ROW_VERSION:
			model_row_value(out, log, seen);
			break;
	}
}

/* The operations of which the value consists: seen, and neither undone nor overwritten. */
OpSet
model_present(const Log *log, const Place *place, OpSet seen)
{
	OpSet		acting = seen & model_acting_on(log, place);
	OpSet		resets = (seen & model_resets(log, place)) | model_of_kind(log, acting, RESET);
	OpSet		result = 0;

	switch (place->type)
	{
		case MV_REGISTER:
		case EW_FLAG:
		case DW_FLAG:
		case ORSET:
		case ORMAP:
			return model_assignments(log, place, seen) & ~model_overwritten(log, place, seen);
		case TWOPSET:
			/* an element that was removed where it was known never comes back */
			for (OpSet adds = model_of_kind(log, acting, ADD); adds != 0;)
			{
				int			i = model_next(&adds);

				if (!was_removed(log, acting, log->operations[i].element))
					result |= OP(i);
			}
			return result;
		default:
			return acting & ~model_seen_by(log, resets);
	}
}

/* Did anybody remove the element from a two-phase set, having seen it there? */
static bool
was_removed(const Log *log, OpSet acting, int element)
{
	for (OpSet removals = model_of_kind(log, acting, REMOVE); removals != 0;)
	{
		const Operation *removal = &log->operations[model_next(&removals)];

		if (removal->element != element)
			continue;
		for (OpSet known = model_of_kind(log, removal->seen & acting, ADD); known != 0;)
		{
			if (log->operations[model_next(&known)].element == element)
				return true;
		}
	}
	return false;
}

/* What the operations counted, together. */
__int128
model_sum(const Log *log, OpSet set)
{
	__int128	sum = 0;

	while (set != 0)
		sum += log->operations[model_next(&set)].amount;
	return sum;
}

static __int128
counter_value(const Log *log, const Place *place, OpSet seen)
{
	OpSet		present = model_present(log, place, seen);

	return (place->type == BCOUNTER ? model_bound(log, place, seen) : 0) +
		model_sum(log, model_of_kind(log, present, INCREMENT)) -
		model_sum(log, model_of_kind(log, present, DECREMENT));
}

/* The largest of all the bounds that were heard of. */
int64
model_bound(const Log *log, const Place *place, OpSet seen)
{
	int64		bound = log->bound;

	for (OpSet rest = model_of_kind(log, seen & model_acting_on(log, place), IMPORT); rest != 0;)
	{
		int			i = model_next(&rest);

		if (log->operations[i].amount > bound)
			bound = log->operations[i].amount;
	}
	return bound;
}

/* By how much a replica may lower a bounded counter. */
__int128
model_rights(const Log *log, const Place *place, OpSet seen, int replica)
{
	OpSet		acting = seen & model_acting_on(log, place);
	OpSet		own = model_by(log, acting, replica);
	OpSet		transfers = model_of_kind(log, acting, TRANSFER);
	__int128	rights = model_sum(log, model_of_kind(log, own, INCREMENT)) -
	model_sum(log, model_of_kind(log, own, DECREMENT));

	while (transfers != 0)
	{
		const Operation *transfer = &log->operations[model_next(&transfers)];

		if (transfer->target == replica)
			rights += transfer->amount;
		if (transfer->author == replica)
			rights -= transfer->amount;
	}
	return rights;
}

/* --- registers ----------------------------------------------------------- */

/* Is a the later of the two assignments? */
bool
model_later(const Assignment *a, const Assignment *b)
{
	if (a->stamp != b->stamp)
		return a->stamp > b->stamp;
	if (a->stamp == 0)
		return false;
	if (a->id != b->id)
		return a->id > b->id;
	if (a->none || b->none)
		return a->none && !b->none;
	return elements_compare(a->element, b->element) > 0;
}

/* The assignment that a last-writer-wins register shows; its stamp is 0 if there is none. */
Assignment
model_assignment(const Log *log, const Place *place, OpSet seen)
{
	OpSet		acting = seen & model_acting_on(log, place);
	OpSet		resets = (seen & model_resets(log, place)) | model_of_kind(log, acting, RESET);
	Assignment	last = {0};

	for (OpSet rest = model_of_kind(log, acting, ASSIGN) | model_of_kind(log, acting, IMPORT); rest != 0;)
	{
		const Operation *operation = &log->operations[model_next(&rest)];
		Assignment	this = {operation->stamp, operation->stamp_id, false, operation->element};

		if (model_later(&this, &last))
			last = this;
	}

	/* undoing what was seen comes right behind that, ahead of all later ones */
	while (resets != 0)
	{
		OpSet		undone = log->operations[model_next(&resets)].seen;
		Assignment	this = model_assignment(log, place, undone);

		this.none = true;
		if (model_later(&this, &last))
			last = this;
	}
	return last;
}

/* --- writing ------------------------------------------------------------- */

static void
append_int128(StringInfo out, __int128 value)
{
	char		digits[48];
	int			at = sizeof(digits);
	bool		negative = value < 0;

	digits[--at] = '\0';
	do
	{
		int			digit = (int) (value % 10);

		digits[--at] = '0' + (digit < 0 ? -digit : digit);
		value /= 10;
	} while (value != 0);
	if (negative)
		digits[--at] = '-';
	appendStringInfoString(out, digits + at);
}

/* How many operations of each replica there are. */
static void
append_vector(StringInfo out, const Log *log, OpSet set)
{
	const char *separator = "";

	appendStringInfoChar(out, '{');
	for (int i = 0; i < log->replicas; i++)
	{
		__int128	count = model_sum(log, model_by(log, set, i));

		if (count == 0)
			continue;
		appendStringInfo(out, "%s\"%" INT64_MODIFIER "x\": ", separator, log->ids[i]);
		append_int128(out, count);
		separator = ", ";
	}
	appendStringInfoChar(out, '}');
}

/* The elements that were added or assigned, each once, in the order of states. */
static void
append_elements(StringInfo out, const Log *log, OpSet additions)
{
	const char *separator = "";
	int			last = -1;

	appendStringInfoChar(out, '[');
	for (;;)
	{
		int			next = -1;

		for (OpSet rest = additions; rest != 0;)
		{
			int			element = log->operations[model_next(&rest)].element;

			if ((last < 0 || elements_compare(element, last) > 0) &&
				(next < 0 || elements_compare(element, next) < 0))
				next = element;
		}
		if (next < 0)
			break;
		appendStringInfo(out, "%s%s", separator, elements[next].canonical);
		separator = ",";
		last = next;
	}
	appendStringInfoChar(out, ']');
}

/* Set, and nobody else says the opposite (which an enable-wins flag never keeps). */
static void
append_flag(StringInfo out, const Log *log, OpSet assignments)
{
	bool		is_set = model_of_kind(log, assignments, ENABLE) != 0 &&
	model_of_kind(log, assignments, DISABLE) == 0;

	appendStringInfoString(out, is_set ? "true" : "false");
}

static void
append_map(StringInfo out, const Log *log, const Place *place, OpSet seen)
{
	int			before = out->len + 1;

	appendStringInfoChar(out, '{');
	for (int key = 0; key < element_keys_count; key++)
	{
		int			start = out->len;

		if (start > before)
			appendStringInfoChar(out, ',');
		if (!append_member(out, log, place, seen, key))
		{
			out->len = start;
			out->data[start] = '\0';
		}
	}
	appendStringInfoChar(out, '}');
}

/* A key and its value; of several types at one key the first that is present. */
static bool
append_member(StringInfo out, const Log *log, const Place *place, OpSet seen, int key)
{
	OpSet		present = model_present(log, place, seen);
	ModelType	type = MODEL_TYPES;
	Step		step;
	Place		child;

	while (present != 0)
	{
		step = model_step(log, model_next(&present), place);
		if (step.key == key && step.type < type)
			type = step.type;
	}
	if (type == MODEL_TYPES)
		return false;
	step.key = key;
	step.type = type;
	child = model_child(place, step);
	escape_json(out, element_keys[key]);
	appendStringInfoChar(out, ':');
	model_value(out, log, &child, seen);
	return true;
}

/* --- errors -------------------------------------------------------------- */

/* The SQLSTATE with which an operation must fail, 0 if it must succeed. */
int
model_expected_error(const Log *log, const Operation *operation)
{
	OpSet		own = model_by(log, operation->seen & model_acting_on(log, &operation->place),
							   operation->author);
	OpSet		alike = model_of_kind(log, own, operation->kind);

	if (operation->kind == TRANSFER)
	{
		OpSet		all = alike;

		alike = 0;
		while (all != 0)
		{
			int			i = model_next(&all);

			if (log->operations[i].target == operation->target)
				alike |= OP(i);
		}
	}
	if (operation->kind == IMPORT)
		return 0;
	if (operation->place.type == BCOUNTER && operation->kind != INCREMENT &&
		operation->amount > model_rights(log, &operation->place, operation->seen, operation->author))
		return ERRCODE_CHECK_VIOLATION;
	if (model_sum(log, alike) + operation->amount > PG_INT64_MAX)
		return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
	return 0;
}
