/*-------------------------------------------------------------------------
 *
 * violations.c
 *	  Promises that were not kept, counted: consistency.stat_violations.
 *
 * Counters of this server since it was started, for all databases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "core/shmem.h"
#include "stats/violations.h"

#define VIOLATIONS_COLUMNS 3

/* One kind; no lock, the two may disagree for a moment. */
typedef struct ViolationCounter
{
	pg_atomic_uint64 count;
	pg_atomic_uint64 last;		/* TimestampTz of the newest; 0: none */
} ViolationCounter;

/* NULL without preload */
static ViolationCounter *counters = NULL;

static void setup_counters(void *segment);

PG_FUNCTION_INFO_V1(consistency_stat_violations);
PG_FUNCTION_INFO_V1(consistency_stat_reset);

static const char *const kind_names[] = {
	[VIOLATION_LOST_POSITION] = "lost_position",
	[VIOLATION_STALE_ANSWER] = "stale_answer",
	[VIOLATION_UNFENCED_READ] = "unfenced_read"
};

/* Ask for shared memory. */
void
violations_init(void)
{
	shmem_register("consistency violations", NUM_VIOLATION_KINDS * sizeof(ViolationCounter), 0,
				   (void **) &counters, setup_counters);
}

static void
setup_counters(void *segment)
{
	ViolationCounter *fresh = segment;

	for (int i = 0; i < NUM_VIOLATION_KINDS; i++)
	{
		pg_atomic_init_u64(&fresh[i].count, 0);
		pg_atomic_init_u64(&fresh[i].last, 0);
	}
}

/* A promise was not kept, just now. */
void
violations_count(ViolationKind kind)
{
	if (counters == NULL)
		return;
	pg_atomic_write_u64(&counters[kind].last, (uint64) GetCurrentTimestamp());
	pg_atomic_fetch_add_u64(&counters[kind].count, 1);
}

/* Begin to count from zero. */
void
violations_reset(void)
{
	for (int i = 0; i < NUM_VIOLATION_KINDS; i++)
	{
		pg_atomic_write_u64(&counters[i].count, 0);
		pg_atomic_write_u64(&counters[i].last, 0);
	}
}

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

	for (int i = 0; i < NUM_VIOLATION_KINDS; i++)
	{
		Datum		values[VIOLATIONS_COLUMNS];
		bool		nulls[VIOLATIONS_COLUMNS] = {false};
		TimestampTz last = (TimestampTz) pg_atomic_read_u64(&counters[i].last);

		values[0] = CStringGetTextDatum(kind_names[i]);
		values[1] = Int64GetDatum((int64) pg_atomic_read_u64(&counters[i].count));
		values[2] = TimestampTzGetDatum(last);
		nulls[2] = last == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* consistency.stat_reset() */
Datum
consistency_stat_reset(PG_FUNCTION_ARGS)
{
	errors_require_preload("consistency.stat_reset()");
	violations_reset();
	PG_RETURN_VOID();
}
