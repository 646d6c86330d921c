/*-------------------------------------------------------------------------
 *
 * recommend_function.c
 *	  consistency.recommend(): answers in, level and statement out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "advise/recommend.h"
#include "advise/statement.h"

#define RECOMMEND_COLUMNS 5

/* arguments of consistency.recommend() */
enum
{
	ARG_CRITICAL,
	ARG_STALE_READ,
	ARG_READS_PER_SECOND,
	ARG_PRIMARY_SERVES,
	ARG_DISTANT,
	ARG_OWN_WRITES,
	ARG_BACKWARDS,
	ARG_COLLABORATION,
	ARG_MAX_AGE,
	ARG_RELATION,
	ARG_ROLE
};

static void read_situation(FunctionCallInfo fcinfo, Situation *situation);
static bool flag_argument(FunctionCallInfo fcinfo, int number, const char *name);
static int	choice_argument(FunctionCallInfo fcinfo, int number, const char *name,
							const char *const *choices, int nchoices);
static bool exceeds_primary(FunctionCallInfo fcinfo);
static double rate_argument(FunctionCallInfo fcinfo, int number, const char *name);
static char *statement_for(FunctionCallInfo fcinfo, const Recommendation *recommendation);
static Datum reasons_datum(const List *reasons);

PG_FUNCTION_INFO_V1(consistency_recommend);

static const char *const stale_read_names[] = {
	[STALE_HARMLESS] = "harmless",
	[STALE_CONFUSING] = "confusing",
	[STALE_COSTLY] = "costly"
};

static const char *const collaboration_names[] = {
	[COLLABORATION_NONE] = "none",
	[COLLABORATION_CAUSAL] = "causal",
	[COLLABORATION_TOTAL] = "total"
};

/* consistency.recommend(...): see recommend.sql. */
Datum
consistency_recommend(PG_FUNCTION_ARGS)
{
	Datum		values[RECOMMEND_COLUMNS] = {0};
	bool		nulls[RECOMMEND_COLUMNS] = {false};
	TupleDesc	desc;
	Situation	situation;
	Recommendation recommendation;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	read_situation(fcinfo, &situation);
	recommendation = recommend_level(&situation);

	values[0] = CStringGetTextDatum(level_name(recommendation.level));
	nulls[1] = recommendation.max_staleness_ms < 0;
	if (!nulls[1])
		values[1] = policy_interval_datum(recommendation.max_staleness_ms);
	values[2] = reasons_datum(recommendation.reasons);
	values[3] = CStringGetTextDatum(statement_for(fcinfo, &recommendation));
	values[4] = CStringGetTextDatum(recommend_cost(recommendation.level));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

static void
read_situation(FunctionCallInfo fcinfo, Situation *situation)
{
	situation->critical = flag_argument(fcinfo, ARG_CRITICAL, "critical");
	situation->stale_read = choice_argument(fcinfo, ARG_STALE_READ, "stale_read",
											stale_read_names, lengthof(stale_read_names));
	situation->exceeds_primary = exceeds_primary(fcinfo);
	situation->distant = flag_argument(fcinfo, ARG_DISTANT, "distant");
	situation->own_writes = flag_argument(fcinfo, ARG_OWN_WRITES, "own_writes");
	situation->backwards = flag_argument(fcinfo, ARG_BACKWARDS, "backwards");
	situation->collaboration = choice_argument(fcinfo, ARG_COLLABORATION, "collaboration",
											   collaboration_names, lengthof(collaboration_names));
	situation->max_age_ms = PG_ARGISNULL(ARG_MAX_AGE) ? -1 :
		policy_interval_ms(PG_GETARG_INTERVAL_P(ARG_MAX_AGE), "max_age");
}

static bool
flag_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("Leave it out, or say true or false.")));
	return PG_GETARG_BOOL(number);
}

/* One of some words, by its number. */
static int
choice_argument(FunctionCallInfo fcinfo, int number, const char *name,
				const char *const *choices, int nchoices)
{
	char	   *word = PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
	StringInfoData available;

	initStringInfo(&available);
	for (int i = 0; i < nchoices; i++)
	{
		if (word && pg_strcasecmp(word, choices[i]) == 0)
			return i;
		appendStringInfo(&available, "%s%s", i > 0 ? ", " : "", choices[i]);
	}
	if (word == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errhint("Available values: %s.", available.data)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", name, word),
			 errhint("Available values: %s.", available.data)));
}

/* Are there more reads than one primary serves?  Not, if nobody says so. */
static bool
exceeds_primary(FunctionCallInfo fcinfo)
{
	bool		has_reads = !PG_ARGISNULL(ARG_READS_PER_SECOND);

	if (has_reads != !PG_ARGISNULL(ARG_PRIMARY_SERVES))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reads_per_second and primary_serves belong together"),
				 errhint("Say both: how many reads there are, and how many your primary serves (pgbench tells).")));
	return has_reads &&
		rate_argument(fcinfo, ARG_READS_PER_SECOND, "reads_per_second") >
		rate_argument(fcinfo, ARG_PRIMARY_SERVES, "primary_serves");
}

static double
rate_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	double		rate = PG_GETARG_FLOAT8(number);

	if (!(rate >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is out of range", name),
				 errhint("It is a number of reads, 0 or more.")));
	return rate;
}

/* The SQL that sets the level for whom it was asked for. */
static char *
statement_for(FunctionCallInfo fcinfo, const Recommendation *recommendation)
{
	Policy		policy = {
		.kind = recommendation->kind,
		.level = recommendation->level,
		.max_staleness_ms = recommendation->max_staleness_ms,
		.max_lag = -1,
		.on_timeout = ON_TIMEOUT_UNSET
	};

	if (!PG_ARGISNULL(ARG_RELATION) && !PG_ARGISNULL(ARG_ROLE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the level is for a table or for a role, not for both"),
				 errhint("Leave out relation or role, or both for the session.")));
	if (!PG_ARGISNULL(ARG_RELATION))
		return statement_for_table(PG_GETARG_OID(ARG_RELATION), &policy);
	if (PG_ARGISNULL(ARG_ROLE))
		return statement_for_settings("", &policy, recommendation->keeps_session);
	return statement_for_settings(psprintf("ALTER ROLE %s ",
										   quote_identifier(GetUserNameFromId(PG_GETARG_OID(ARG_ROLE), false))),
								  &policy, recommendation->keeps_session);
}

static Datum
reasons_datum(const List *reasons)
{
	Datum	   *texts = palloc(list_length(reasons) * sizeof(Datum));
	ListCell   *cell;
	int			n = 0;

	foreach(cell, reasons)
		texts[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}
