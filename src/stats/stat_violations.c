/*-------------------------------------------------------------------------
 *
 * stat_violations.c
 *	  Promises that were not kept: consistency.stat_violations, and
 *	  consistency.violations with what is known of the newest ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/columns.h"
#include "core/errors.h"
#include "core/violations.h"

#define STAT_VIOLATIONS_COLUMNS 3
#define VIOLATIONS_COLUMNS 7

static void put_violation(ReturnSetInfo *rsinfo, ViolationKind kind, const Violation *violation);

PG_FUNCTION_INFO_V1(consistency_stat_violations);
PG_FUNCTION_INFO_V1(consistency_violations);

/*
 * consistency.stat_violations(): a row for each kind
 *		kind, count, last
 */
Datum
consistency_stat_violations(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	errors_require_preload("consistency.stat_violations");
	InitMaterializedSRF(fcinfo, 0);

	for (int kind = 0; kind < NUM_VIOLATION_KINDS; kind++)
	{
		Datum		values[STAT_VIOLATIONS_COLUMNS];
		bool		nulls[STAT_VIOLATIONS_COLUMNS] = {false};
		TimestampTz last;

		values[0] = CStringGetTextDatum(violation_name(kind));
		values[1] = Int64GetDatum((int64) violations_counted(kind, &last));
		values[2] = TimestampTzGetDatum(last);
		nulls[2] = last == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * consistency.violations(): a row for each that is remembered
 *		time, kind, database, role (null: dropped), pid, application_name, detail
 */
Datum
consistency_violations(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Violation	violation;

	errors_require_preload("consistency.violations");
	InitMaterializedSRF(fcinfo, 0);

	for (int kind = 0; kind < NUM_VIOLATION_KINDS; kind++)
	{
		for (int place = 0; place < VIOLATIONS_REMEMBERED; place++)
		{
			if (violations_remembered(kind, place, &violation))
				put_violation(rsinfo, kind, &violation);
		}
	}
	return (Datum) 0;
}

static void
put_violation(ReturnSetInfo *rsinfo, ViolationKind kind, const Violation *violation)
{
	Datum		values[VIOLATIONS_COLUMNS];
	bool		nulls[VIOLATIONS_COLUMNS] = {false};
	char	   *application_name = pstrdup(violation->application_name);
	char	   *detail = pstrdup(violation->detail);

	/* Written in another database, perhaps, and cut off. */
	values[0] = TimestampTzGetDatum(violation->time);
	values[1] = CStringGetTextDatum(violation_name(kind));
	column_put_name(values, nulls, 2, get_database_name(violation->database));
	column_put_name(values, nulls, 3, GetUserNameFromId(violation->role, true));
	values[4] = Int32GetDatum(violation->pid);
	values[5] = CStringGetTextDatum(errors_make_readable(application_name));
	values[6] = CStringGetTextDatum(errors_make_readable(detail));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
