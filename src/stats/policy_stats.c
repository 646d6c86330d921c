/*-------------------------------------------------------------------------
 *
 * policy_stats.c
 *	  Reads of tables that have a policy: consistency.stat_tables.
 *
 * A table of fixed size, found by hashing, without locks: a place is taken once,
 * by writing its key, and is free again only after a reset.  If all are taken,
 * further tables aren't counted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"

#include "core/errors.h"
#include "core/kept.h"
#include "stats/policy_stats.h"
#include "stats/wait_histogram.h"

#define MAX_TABLES 4096			/* a power of 2 */

#define READ_TABLES_COLUMNS (4 + NUM_READ_PLACES)

/* All of it without a lock. */
typedef struct PolicyCounters
{
	pg_atomic_uint64 key;		/* database and table; 0: free */
	pg_atomic_uint64 decided;	/* reads whose level it decided */
	pg_atomic_uint64 wait_us;
	pg_atomic_uint64 timeouts;
	pg_atomic_uint64 reads[NUM_READ_PLACES];
} PolicyCounters;

/* MAX_TABLES of them; NULL without preload */
static PolicyCounters *tables = NULL;

static PolicyCounters *find(Oid relation);

PG_FUNCTION_INFO_V1(consistency_read_tables);

/* Only while the library is being preloaded. */
void
policy_stats_init(void)
{
	tables = kept_register("policies", MAX_TABLES * sizeof(PolicyCounters));
}

/*
 * policy_stats_count
 *		A read was promised this, to which policies had something to say.
 *
 * record: what is known of it; NULL: nothing.
 */
void
policy_stats_count(const Declaration *declaration, ReadPlace place, const LastRead *record)
{
	for (int i = 0; i < declaration->policed.n; i++)
	{
		Oid			relation = declaration->policed.relations[i];
		PolicyCounters *counters = find(relation);

		if (counters == NULL)
			continue;
		pg_atomic_fetch_add_u64(&counters->reads[place], 1);
		if (declaration->source == DECLARED_BY_POLICY && declaration->relation == relation)
			pg_atomic_fetch_add_u64(&counters->decided, 1);
		if (record && record->waited_us >= WAIT_SHORTEST_US)
			pg_atomic_fetch_add_u64(&counters->wait_us, record->waited_us);
		if (record && record->timeouts > 0)
			pg_atomic_fetch_add_u64(&counters->timeouts, record->timeouts);
	}
}

/* Forget all tables. */
void
policy_stats_reset(void)
{
	for (int i = 0; i < MAX_TABLES; i++)
	{
		pg_atomic_uint64 *counters = (pg_atomic_uint64 *) &tables[i];

		/* the key last, so that nobody counts on top of old numbers */
		for (int j = sizeof(PolicyCounters) / sizeof(pg_atomic_uint64) - 1; j >= 0; j--)
			pg_atomic_write_u64(&counters[j], 0);
	}
}

/* The counters of a table of this database; NULL: there is no room for them. */
static PolicyCounters *
find(Oid relation)
{
	uint64		key = ((uint64) MyDatabaseId << 32) | relation;
	uint32		start = hash_combine(murmurhash32(MyDatabaseId), murmurhash32(relation));

	for (uint32 i = 0; i < MAX_TABLES; i++)
	{
		PolicyCounters *counters = &tables[(start + i) % MAX_TABLES];
		uint64		other = pg_atomic_read_u64(&counters->key);

		if (other == key)
			return counters;
		if (other == 0 &&
			(pg_atomic_compare_exchange_u64(&counters->key, &other, key) || other == key))
			return counters;
	}
	return NULL;
}

/*
 * consistency.read_tables(): a row for each table of this database that has, or
 * had, a policy, and was read
 *		relation (OID), decided, waited (ms), timeouts, then reads by place
 */
Datum
consistency_read_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	errors_require_preload("consistency.stat_tables");
	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < MAX_TABLES; i++)
	{
		PolicyCounters *counters = &tables[i];
		uint64		key = pg_atomic_read_u64(&counters->key);
		Datum		values[READ_TABLES_COLUMNS];
		bool		nulls[READ_TABLES_COLUMNS] = {false};

		if (key == 0 || key >> 32 != MyDatabaseId)
			continue;
		values[0] = ObjectIdGetDatum((Oid) key);
		values[1] = Int64GetDatum((int64) pg_atomic_read_u64(&counters->decided));
		values[2] = Float8GetDatum(pg_atomic_read_u64(&counters->wait_us) / 1000.0);
		values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&counters->timeouts));
		for (int place = 0; place < NUM_READ_PLACES; place++)
			values[4 + place] = Int64GetDatum((int64) pg_atomic_read_u64(&counters->reads[place]));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
