/*-------------------------------------------------------------------------
 *
 * model_order.c
 *	  Whether one replica knows no more than another, as far as it shows.
 *
 * Operations without any effect don't count, and those that a type forgets, such
 * as the second adding of an element to a grow-only set.  Two replicas of which
 * each knows no more than the other have the same state.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "elements.h"
#include "model.h"

static OpSet with_effect(const Log *log, OpSet set);
static OpSet undone(const Log *log, const Place *place, OpSet seen);
static bool elements_within(const Log *log, OpSet a, OpSet b);
static OpSet removals(const Log *log, const Place *place, OpSet seen);
static bool children_within(const Log *log, const Place *place, OpSet a, OpSet b);

static inline bool
subset(OpSet a, OpSet b)
{
	return (a & ~b) == 0;
}

/* Does the replica that has seen a know no more of the place than the one that has seen b? */
bool
model_within(const Log *log, const Place *place, OpSet a, OpSet b)
{
	OpSet		acting = model_acting_on(log, place);
	Assignment	assigned_a,
				assigned_b;

	switch (place->type)
	{
		case GCOUNTER:
		case VCLOCK:
			return subset(with_effect(log, a & acting), b);
		case BCOUNTER:
			return model_bound(log, place, a) <= model_bound(log, place, b) &&
				subset(with_effect(log, a & acting & ~model_of_kind(log, a, IMPORT)), b);
		case PNCOUNTER:
			return subset(with_effect(log, a & acting), b) &&
				subset(undone(log, place, a), undone(log, place, b));
		case LWW_REGISTER:
			assigned_a = model_assignment(log, place, a);
			assigned_b = model_assignment(log, place, b);
			return !model_later(&assigned_a, &assigned_b);
		case GSET:
			return elements_within(log, a & acting, b & acting);
		case TWOPSET:
			return elements_within(log, model_of_kind(log, a & acting, ADD),
								   model_of_kind(log, b & acting, ADD)) &&
				elements_within(log, removals(log, place, a), removals(log, place, b));
		case MV_REGISTER:
		case EW_FLAG:
		case DW_FLAG:
		case ORSET:
			return subset(model_assignments(log, place, a), b) &&
				subset(model_overwritten(log, place, a), model_overwritten(log, place, b));
		case ROW_VERSION:
			if (model_length(log, a) != model_length(log, b))
				return model_length(log, a) < model_length(log, b);
			return subset(model_row_known(log, a), b);
		case ORMAP:
			return subset(model_assignments(log, place, a), b) &&
				subset(model_overwritten(log, place, a), model_overwritten(log, place, b)) &&
				children_within(log, place, a, b);
	}
	return false;
}

/* Those that count something. */
static OpSet
with_effect(const Log *log, OpSet set)
{
	OpSet		result = 0;

	while (set != 0)
	{
		int			i = model_next(&set);

		if (log->operations[i].amount > 0)
			result |= OP(i);
	}
	return result;
}

/* What a counter has counted and was undone. */
static OpSet
undone(const Log *log, const Place *place, OpSet seen)
{
	OpSet		acting = seen & model_acting_on(log, place);
	OpSet		resets = (seen & model_resets(log, place)) | model_of_kind(log, acting, RESET);

	return with_effect(log, acting) & model_seen_by(log, resets);
}

/* Is each operation's element that of one of the others? */
static bool
elements_within(const Log *log, OpSet a, OpSet b)
{
	uint64		known = 0;

	Assert(elements_count <= 64);
	while (b != 0)
		known |= OP(log->operations[model_next(&b)].element);
	while (a != 0)
	{
		if (!(known & OP(log->operations[model_next(&a)].element)))
			return false;
	}
	return true;
}

/* Removals from a two-phase set that found the element there, at some time. */
static OpSet
removals(const Log *log, const Place *place, OpSet seen)
{
	OpSet		candidates = model_of_kind(log, seen & model_acting_on(log, place), REMOVE);
	OpSet		result = 0;

	while (candidates != 0)
	{
		int			i = model_next(&candidates);
		const Operation *operation = &log->operations[i];
		OpSet		adds = model_of_kind(log, operation->seen & model_acting_on(log, place), ADD);

		if (elements_within(log, OP(i), adds))
			result |= OP(i);
	}
	return result;
}

/* The same of all that is in a map. */
static bool
children_within(const Log *log, const Place *place, OpSet a, OpSet b)
{
	OpSet		puts = model_assignments(log, place, a);

	while (puts != 0)
	{
		Place		child = model_child(place, model_step(log, model_next(&puts), place));

		if (!model_within(log, &child, a, b))
			return false;
		puts &= ~model_acting_on(log, &child);
		if (child.type == ORMAP)
			puts &= ~model_passing(log, &child);
	}
	return true;
}
