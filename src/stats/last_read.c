/*-------------------------------------------------------------------------
 *
 * last_read.c
 *	  What happened to the last statement: consistency.last_read().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/columns.h"
#include "core/errors.h"
#include "stats/last_read.h"

#define LAST_READ_COLUMNS 8

/*
 * The statement that is running, and the one before it: the statement that
 * asks is itself the one that is running.  One that has asked is forgotten, so
 * that the next one can ask again.
 */
static LastRead records[2];
static LastRead *current = &records[0];
static LastRead *previous = &records[1];
static uint64 statements = 0;

PG_FUNCTION_INFO_V1(consistency_last_read);

/* A new statement begins: returns its record, to fill with what it is promised. */
LastRead *
last_read_begin(void)
{
	if (!current->asks)
	{
		LastRead   *oldest = previous;

		previous = current;
		current = oldest;
	}
	current->asks = false;
	current->level = LEVEL_UNSET;
	current->position = POSITION_NONE;
	current->waited_us = 0;
	current->place = READ_LOCAL;
	current->fallback = FALLBACK_NONE;
	current->timeouts = 0;
	current->retries = 0;
	current->reason = "";
	current->node[0] = '\0';
	current->number = ++statements;
	return current;
}

/* The statement that is running is promised this, and that is what it demands. */
void
last_read_promise(const Declaration *declaration, const Requirement *requirement)
{
	current->level = declaration->level;
	current->source = declaration->source;
	current->relation = declaration->relation;
	current->requirement = *requirement;
}

/* The record of the statement that is running. */
LastRead *
last_read_current(void)
{
	return current;
}

/* For people. */
const char *
read_place_name(ReadPlace place)
{
	static const char *const names[] = {
		[READ_LOCAL] = "local",
		[READ_WAITED] = "waited",
		[READ_ROUTED] = "routed",
		[READ_FORWARDED] = "forwarded",
		[READ_STALE] = "stale",
		[READ_REFUSED] = "refused"
	};

	return names[place];
}

/*
 * consistency.last_read() returns one row; no row if there was no statement
 *		level, policy, requirement, node, position, waited, place, reason
 */
Datum
consistency_last_read(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[LAST_READ_COLUMNS] = {0};
	bool		nulls[LAST_READ_COLUMNS] = {0};
	char		position[POSITION_TEXT_SIZE];
	char		requirement[REQUIREMENT_TEXT_SIZE];
	Interval   *waited;

	errors_require_preload("consistency.last_read()");
	InitMaterializedSRF(fcinfo, 0);
	current->asks = true;
	if (previous->level == LEVEL_UNSET)
		return (Datum) 0;

	waited = palloc0(sizeof(Interval));
	waited->time = previous->waited_us;

	values[0] = CStringGetTextDatum(level_name(previous->level));
	values[1] = CStringGetTextDatum(declaration_source_text(previous->source,
															previous->relation));
	values[2] = CStringGetTextDatum(requirement_text(&previous->requirement, requirement));
	column_put_text(values, nulls, 3, previous->node[0] ? previous->node : NULL);
	column_put_text(values, nulls, 4, position_is_set(previous->position) ?
					position_text(previous->position, position) : NULL);
	values[5] = IntervalPGetDatum(waited);
	values[6] = CStringGetTextDatum(read_place_name(previous->place));
	values[7] = CStringGetTextDatum(previous->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}
