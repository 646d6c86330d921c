/*-------------------------------------------------------------------------
 *
 * model.c
 *	  The log of a history: which operations concern what.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "elements.h"
#include "model.h"

const char *const model_type_names[MODEL_TYPES] = {
	"gcounter", "pncounter", "bcounter", "lww_register", "mv_register", "gset",
	"twopset", "orset", "ew_flag", "dw_flag", "ormap", "vclock", "row_version"
};

static const char *const kind_names[] = {
	"increment", "decrement", "transfer", "reset", "assign", "import", "clear",
	"enable", "disable", "add", "remove", "touch", "remove key",
	"write", "write column", "write first", "delete what was seen", "next length"
};

static bool starts_with(const Place *path, const Place *beginning);
static bool removes_key(const Operation *operation, int key);
static bool overwrites(const Log *log, const Operation *later, int earlier, const Place *place);

/* Take an operation out of the set. */
int
model_next(OpSet *set)
{
	int			operation = pg_rightmost_one_pos64(*set);

	*set &= *set - 1;
	return operation;
}

Place
model_root(const Log *log)
{
	Place		root = {log->type, 0};

	return root;
}

/* What is below a key of a map. */
Place
model_child(const Place *place, Step step)
{
	Place		child = *place;

	Assert(place->type == ORMAP && place->depth < MAX_NESTING);
	child.path[child.depth++] = step;
	child.type = step.type;
	return child;
}

static bool
starts_with(const Place *path, const Place *beginning)
{
	if (path->depth < beginning->depth)
		return false;
	for (int i = 0; i < beginning->depth; i++)
	{
		if (path->path[i].key != beginning->path[i].key ||
			path->path[i].type != beginning->path[i].type)
			return false;
	}
	return true;
}

/* The operations that change what is at this very place. */
OpSet
model_acting_on(const Log *log, const Place *place)
{
	OpSet		result = 0;

	for (int i = 0; i < log->n; i++)
	{
		const Place *changed = &log->operations[i].place;

		if (changed->depth == place->depth && starts_with(changed, place))
			result |= OP(i);
	}
	return result;
}

/* The operations that put something under a key of the map that is there. */
OpSet
model_passing(const Log *log, const Place *place)
{
	OpSet		result = 0;

	for (int i = 0; i < log->n; i++)
	{
		const Place *changed = &log->operations[i].place;

		if (changed->depth > place->depth && starts_with(changed, place))
			result |= OP(i);
	}
	return result;
}

/* The key and the type under which an operation puts something into the map. */
Step
model_step(const Log *log, int operation, const Place *place)
{
	return log->operations[operation].place.path[place->depth];
}

/* Of an operation on a map. */
static bool
removes_key(const Operation *operation, int key)
{
	return operation->kind == CLEAR || (operation->kind == REMOVE_KEY && operation->key == key);
}

/* The operations that undo all that they have seen at the place, by removing a key above it. */
OpSet
model_resets(const Log *log, const Place *place)
{
	OpSet		result = 0;

	for (int i = 0; i < log->n; i++)
	{
		const Operation *operation = &log->operations[i];

		if (operation->place.depth < place->depth && starts_with(place, &operation->place) &&
			removes_key(operation, place->path[operation->place.depth].key))
			result |= OP(i);
	}
	return result;
}

OpSet
model_of_kind(const Log *log, OpSet set, Kind kind)
{
	OpSet		result = 0;

	while (set != 0)
	{
		int			i = model_next(&set);

		if (log->operations[i].kind == kind)
			result |= OP(i);
	}
	return result;
}

OpSet
model_by(const Log *log, OpSet set, int author)
{
	OpSet		result = 0;

	while (set != 0)
	{
		int			i = model_next(&set);

		if (log->operations[i].author == author)
			result |= OP(i);
	}
	return result;
}

/* All that any operation of the set had seen. */
OpSet
model_seen_by(const Log *log, OpSet set)
{
	OpSet		result = 0;

	while (set != 0)
		result |= log->operations[model_next(&set)].seen;
	return result;
}

/*
 * model_assignments
 *		The operations that brought something there, which others may overwrite.
 *
 * For counters and sets that don't overwrite see the places of use.
 */
OpSet
model_assignments(const Log *log, const Place *place, OpSet seen)
{
	OpSet		acting = seen & model_acting_on(log, place);

	switch (place->type)
	{
		case MV_REGISTER:
			return model_of_kind(log, acting, ASSIGN);
		case EW_FLAG:
			return model_of_kind(log, acting, ENABLE);
		case DW_FLAG:
			return model_of_kind(log, acting, ENABLE) | model_of_kind(log, acting, DISABLE);
		case ORSET:
			return model_of_kind(log, acting, ADD);
		case ORMAP:
			return seen & model_passing(log, place);
		default:
			elog(ERROR, "type %s doesn't overwrite", model_type_names[place->type]);
	}
	return 0;
}

/* Has the later operation undone or replaced the earlier assignment, which it has seen? */
static bool
overwrites(const Log *log, const Operation *later, int earlier, const Place *place)
{
	const Operation *assignment = &log->operations[earlier];
	Step		step;

	switch (place->type)
	{
		case MV_REGISTER:
		case EW_FLAG:
		case DW_FLAG:
			return true;
		case ORSET:
			return later->kind == CLEAR || later->element == assignment->element;
		case ORMAP:
			step = model_step(log, earlier, place);
			if (later->place.depth == place->depth)
				return removes_key(later, step.key);
			return later->place.path[place->depth].key == step.key &&
				later->place.path[place->depth].type == step.type;
		default:
			return false;
	}
}

/* Those of the assignments seen that were overwritten, as far as was seen. */
OpSet
model_overwritten(const Log *log, const Place *place, OpSet seen)
{
	OpSet		assignments = model_assignments(log, place, seen);
	OpSet		resets = seen & model_resets(log, place);
	OpSet		others = seen & (model_acting_on(log, place) |
								 (place->type == ORMAP ? model_passing(log, place) : 0));
	OpSet		result = assignments & model_seen_by(log, resets);

	while (others != 0)
	{
		const Operation *later = &log->operations[model_next(&others)];
		OpSet		earlier = assignments & later->seen & ~result;

		while (earlier != 0)
		{
			int			i = model_next(&earlier);

			if (overwrites(log, later, i, place))
				result |= OP(i);
		}
	}
	return result;
}

/* Append what an operation was, for people. */
void
model_describe(StringInfo out, const Log *log, int operation)
{
	const Operation *op = &log->operations[operation];

	appendStringInfo(out, "#%d by %d:", operation, op->author);
	for (int i = 0; i < op->place.depth; i++)
		appendStringInfo(out, " [\"%s\" %s]", element_keys[op->place.path[i].key],
						 model_type_names[op->place.path[i].type]);
	appendStringInfo(out, " %s", kind_names[op->kind]);
	switch (op->kind)
	{
		case INCREMENT:
		case DECREMENT:
			appendStringInfo(out, " " INT64_FORMAT, op->amount);
			break;
		case TRANSFER:
			appendStringInfo(out, " " INT64_FORMAT " to %d", op->amount, op->target);
			break;
		case ASSIGN:
		case ADD:
		case REMOVE:
			appendStringInfo(out, " %s", elements[op->element].spellings[op->spelling]);
			if (op->place.type == ROW_VERSION)
				appendStringInfo(out, " to \"%s\"", element_keys[op->key]);
			break;
		case IMPORT:
			if (op->place.type == BCOUNTER)
			{
				appendStringInfo(out, " bound " INT64_FORMAT, op->amount);
				break;
			}
			appendStringInfo(out, " %s at " INT64_FORMAT " of %" INT64_MODIFIER "x",
							 elements[op->element].spellings[op->spelling], op->stamp, op->stamp_id);
			break;
		case REMOVE_KEY:
			appendStringInfo(out, " \"%s\"", element_keys[op->key]);
			break;
		case WRITE:
		case WRITE_COLUMN:
		case WRITE_FIRST:
			appendStringInfo(out, " \"%s\" at " INT64_FORMAT " of %" INT64_MODIFIER "x",
							 op->kind == WRITE ? "" : element_keys[op->key], op->stamp, op->stamp_id);
			break;
		default:
			break;
	}
	appendStringInfo(out, ", had seen %" INT64_MODIFIER "x", op->seen);
}
