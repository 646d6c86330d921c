/*-------------------------------------------------------------------------
 *
 * stat_reads.c
 *	  consistency.stat_reads: reads by database, level and place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "core/columns.h"
#include "core/errors.h"
#include "stats/read_stats.h"

#define STAT_READS_COLUMNS 16

static void put_totals(ReturnSetInfo *rsinfo, Oid database, ConsistencyLevel level,
					   ReadPlace place, const ReadTotals *totals);
static Datum fallbacks_jsonb(const ReadTotals *totals, uint64 *sum);
static Datum histogram_array(const ReadTotals *totals);

PG_FUNCTION_INFO_V1(consistency_stat_reads);
PG_FUNCTION_INFO_V1(consistency_wait_bounds);
PG_FUNCTION_INFO_V1(consistency_wait_quantile);

/*
 * consistency.stat_reads(): a row for each kind of reads that there were
 *		database (OID; null: others), its name, level, place, reads, rows, total_time (ms),
 *		waits, wait_time, wait_p50, wait_p95, wait_p99 (ms), wait_histogram,
 *		timeouts, retries, fallbacks (by reason)
 */
Datum
consistency_stat_reads(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ReadTotals	totals;

	errors_require_preload("consistency.stat_reads");
	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < read_stats_databases(); i++)
	{
		for (int level = LEVEL_WEAK; level < READ_STATS_LEVELS; level++)
		{
			for (int place = 0; place < NUM_READ_PLACES; place++)
			{
				read_stats_totals(i, level, place, &totals);
				if (totals.reads > 0)
					put_totals(rsinfo, read_stats_database(i), level, place, &totals);
			}
		}
	}
	return (Datum) 0;
}

static void
put_totals(ReturnSetInfo *rsinfo, Oid database, ConsistencyLevel level, ReadPlace place,
		   const ReadTotals *totals)
{
	Datum		values[STAT_READS_COLUMNS];
	bool		nulls[STAT_READS_COLUMNS] = {false};
	uint64		shorter = totals->reads > totals->waits ? totals->reads - totals->waits : 0;
	uint64		fallbacks;
	int			i = 0;

	nulls[i] = !OidIsValid(database);
	values[i++] = ObjectIdGetDatum(database);
	column_put_name(values, nulls, i++, get_database_name(database));
	values[i++] = CStringGetTextDatum(level_name(level));
	values[i++] = CStringGetTextDatum(read_place_name(place));
	values[i++] = Int64GetDatum((int64) totals->reads);
	values[i++] = Int64GetDatum((int64) totals->rows);
	values[i++] = Float8GetDatum(totals->time_us / 1000.0);
	values[i++] = Int64GetDatum((int64) totals->waits);
	values[i++] = Float8GetDatum(totals->wait_us / 1000.0);
	values[i++] = Float8GetDatum(wait_quantile(totals->wait_buckets, shorter, 0.50));
	values[i++] = Float8GetDatum(wait_quantile(totals->wait_buckets, shorter, 0.95));
	values[i++] = Float8GetDatum(wait_quantile(totals->wait_buckets, shorter, 0.99));
	values[i++] = histogram_array(totals);
	values[i++] = Int64GetDatum((int64) totals->timeouts);
	values[i++] = Int64GetDatum((int64) totals->retries);
	values[i] = fallbacks_jsonb(totals, &fallbacks);
	nulls[i++] = fallbacks == 0;
	Assert(i == STAT_READS_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* How often the primary served such a read although a replica was to: by reason. */
static Datum
fallbacks_jsonb(const ReadTotals *totals, uint64 *sum)
{
	static const char *const names[] = {
		[FALLBACK_NO_REPLICA] = "no_replica",
		[FALLBACK_LAG] = "lag",
		[FALLBACK_NODE_LATE] = "node_late",
		[FALLBACK_NODE_FAILED] = "node_failed",
		[FALLBACK_WAIT] = "wait"
	};
	StringInfoData json;

	*sum = 0;
	initStringInfo(&json);
	for (int i = FALLBACK_NONE + 1; i < NUM_READ_FALLBACKS; i++)
	{
		if (totals->fallbacks[i] == 0)
			continue;
		appendStringInfo(&json, "%s\"%s\": " UINT64_FORMAT, *sum > 0 ? ", " : "{",
						 names[i], totals->fallbacks[i]);
		*sum += totals->fallbacks[i];
	}
	if (*sum == 0)
		return (Datum) 0;
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

static Datum
histogram_array(const ReadTotals *totals)
{
	Datum		counts[WAIT_BUCKETS];

	for (int i = 0; i < WAIT_BUCKETS; i++)
		counts[i] = Int64GetDatum((int64) totals->wait_buckets[i]);
	return PointerGetDatum(construct_array(counts, WAIT_BUCKETS, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* consistency.wait_bounds(): the buckets' upper bounds, milliseconds */
Datum
consistency_wait_bounds(PG_FUNCTION_ARGS)
{
	Datum		bounds[WAIT_BUCKETS];

	for (int i = 0; i < WAIT_BUCKETS; i++)
		bounds[i] = Float8GetDatum(wait_bucket_bound(i));
	PG_RETURN_ARRAYTYPE_P(construct_array(bounds, WAIT_BUCKETS, FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * consistency.wait_quantile(histogram, shorter, quantile): what this part of
 * all reads didn't exceed, in milliseconds.  For histograms that were added up,
 * or of which an older one was subtracted.
 */
Datum
consistency_wait_quantile(PG_FUNCTION_ARGS)
{
	ArrayType  *histogram = PG_GETARG_ARRAYTYPE_P(0);
	int64		shorter = PG_GETARG_INT64(1);
	double		quantile = PG_GETARG_FLOAT8(2);
	uint64		buckets[WAIT_BUCKETS];

	if (ARR_NDIM(histogram) != 1 || ARR_DIMS(histogram)[0] != WAIT_BUCKETS ||
		array_contains_nulls(histogram))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a wait histogram has %d counts", WAIT_BUCKETS)));
	if (!(quantile >= 0 && quantile <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a quantile is between 0 and 1")));
	for (int i = 0; i < WAIT_BUCKETS; i++)
		buckets[i] = (uint64) Max(((int64 *) ARR_DATA_PTR(histogram))[i], 0);
	PG_RETURN_FLOAT8(wait_quantile(buckets, (uint64) Max(shorter, 0), quantile));
}
