/*-------------------------------------------------------------------------
 *
 * advise.c
 *	  consistency.advise(): levels that this server's statistics speak for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "advise/advise.h"
#include "core/columns.h"
#include "core/errors.h"

#define ADVISE_COLUMNS 7

static void tell_what_is_missing(AdviseFacts *facts);
static void put_advice(ReturnSetInfo *rsinfo, const Advice *advice);

PG_FUNCTION_INFO_V1(consistency_advise);

/*
 * consistency.advise()
 *		What the caller may see of this server's statistics decides: tables he
 *		may read; lag, if he is a member of pg_monitor; statements, if
 *		pg_stat_statements is there.  What is missing makes advice less
 *		definite, and is told.
 */
Datum
consistency_advise(PG_FUNCTION_ARGS)
{
	AdviseFacts facts = {0};
	ListCell   *cell;

	errors_require_preload("consistency.advise()");
	InitMaterializedSRF(fcinfo, 0);

	advise_collect(&facts);
	advise_statements(&facts);
	advise_tables(&facts);
	advise_declared(&facts);
	tell_what_is_missing(&facts);

	foreach(cell, facts.advice)
		put_advice((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	return (Datum) 0;
}

/* What this server, or this role, can't know. */
static void
tell_what_is_missing(AdviseFacts *facts)
{
	Advice	   *advice;

	if (facts->in_recovery)
	{
		advice = palloc0(sizeof(Advice));
		advice->finding = "this server is a replica";
		advice->reason = "Writes are counted at the primary, reads where they run: what is told here rests on the reads of this replica. Ask the primary for the rest.";
		facts->advice = lappend(facts->advice, advice);
	}
	if (!facts->lag_is_shown)
	{
		advice = palloc0(sizeof(Advice));
		advice->finding = "the lag of replicas is not shown to this role";
		advice->statement = psprintf("GRANT pg_monitor TO %s;",
									 quote_identifier(GetUserNameFromId(GetUserId(), false)));
		advice->reason = "How long reads would wait can't be told without it.";
		facts->advice = lappend(facts->advice, advice);
	}
}

static void
put_advice(ReturnSetInfo *rsinfo, const Advice *advice)
{
	Datum		values[ADVISE_COLUMNS] = {0};
	bool		nulls[ADVISE_COLUMNS] = {false};

	values[0] = ObjectIdGetDatum(advice->relid);
	nulls[0] = !OidIsValid(advice->relid);
	column_put_text(values, nulls, 1, advice->finding);
	column_put_text(values, nulls, 2, advice->now == LEVEL_UNSET ? NULL : level_name(advice->now));
	column_put_text(values, nulls, 3, advice->advised == LEVEL_UNSET ? NULL : level_name(advice->advised));
	column_put_text(values, nulls, 4, advice->cost);
	column_put_text(values, nulls, 5, advice->statement);
	column_put_text(values, nulls, 6, advice->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
