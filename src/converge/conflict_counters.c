/*-------------------------------------------------------------------------
 *
 * conflict_counters.c
 *	  Conflicts, counted by table, column, kind and resolution:
 *	  consistency.stat_conflicts.
 *
 * Two tables of fixed size, found by hashing, without locks.  The first one
 * gives each table of each database a number, so that the key of the second one
 * is a single word and can be written at once.  A place is taken once, by writing
 * its key, and is free again only after a reset.  If all are taken, further
 * conflicts aren't counted.
 *
 * How many updates apply has skipped, and how many of these a comparison has
 * looked for, is kept with the tables and outlives a reset: until the nodes are
 * compared nobody knows that they are equal.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "converge/conflict_counters.h"
#include "core/errors.h"
#include "core/kept.h"
#include "stats/stat_reset.h"

#define MAX_TABLES 4096			/* a power of 2 */
#define MAX_COUNTERS 16384		/* a power of 2 */

#define CONFLICT_COUNTERS_COLUMNS 7

/* a counter's key: place of the table + 1, column, kind, resolution */
#define COLUMN_SHIFT 16
#define KIND_SHIFT 8
#define TABLE_SHIFT 32

/* All of it without a lock. */
typedef struct ConflictTable
{
	pg_atomic_uint64 key;		/* database and table; 0: free */
	pg_atomic_uint64 skipped;	/* updates whose row wasn't found, ever */
	pg_atomic_uint64 compared;	/* those of them that were looked for */
} ConflictTable;

typedef struct ConflictCounter
{
	pg_atomic_uint64 key;		/* 0: free */
	pg_atomic_uint64 count;
	pg_atomic_uint64 last;		/* TimestampTz */
} ConflictCounter;

typedef struct ConflictCounters
{
	ConflictTable tables[MAX_TABLES];
	ConflictCounter counters[MAX_COUNTERS];
} ConflictCounters;

/* NULL without preload */
static ConflictCounters *kept = NULL;

static void reset(void);
static void free_table(ConflictTable *table);
static ConflictTable *find_table(Oid relation, bool take);
static ConflictCounter *find_counter(uint64 key);
static bool claim(pg_atomic_uint64 *place, uint64 key, bool take);
static void put_counter(ReturnSetInfo *rsinfo, const ConflictTable *table, ConflictCounter *counter);

PG_FUNCTION_INFO_V1(consistency_conflict_counters);

/* Only while the library is being preloaded. */
void
conflict_counters_init(void)
{
	kept = kept_register("conflicts", sizeof(ConflictCounters));
	stat_reset_register(reset);
}

/* One more conflict in a table of this database. */
void
conflict_counters_count(Oid relation, AttrNumber column, ConflictKind kind, ConflictResolution resolution)
{
	ConflictTable *table;
	ConflictCounter *counter;
	uint64		key;

	if (kept == NULL)
		return;
	table = find_table(relation, true);
	if (table == NULL)
		return;
	if (kind == CONFLICT_UPDATE_MISSING)
		pg_atomic_fetch_add_u64(&table->skipped, 1);

	key = (uint64) (table - kept->tables + 1) << TABLE_SHIFT |
		(uint64) (uint16) column << COLUMN_SHIFT | (uint64) kind << KIND_SHIFT | (uint64) resolution;
	counter = find_counter(key);
	if (counter == NULL)
		return;
	pg_atomic_write_u64(&counter->last, (uint64) GetCurrentTimestamp());
	pg_atomic_fetch_add_u64(&counter->count, 1);
}

/*
 * conflict_counters_skipped
 *		Updates of a table that apply skipped here, and that no comparison has
 *		looked for.
 */
uint64
conflict_counters_skipped(Oid relation)
{
	ConflictTable *table = kept ? find_table(relation, false) : NULL;
	uint64		compared;

	if (table == NULL)
		return 0;
	/* this one first: it never passes the other one */
	compared = pg_atomic_read_u64(&table->compared);
	return pg_atomic_read_u64(&table->skipped) - compared;
}

/*
 * conflict_counters_compared
 *		All nodes were found equal, or made so, by what began when
 *		conflict_counters_skipped() told so many.
 */
void
conflict_counters_compared(Oid relation, uint64 skipped)
{
	ConflictTable *table = kept ? find_table(relation, false) : NULL;

	if (table && skipped <= conflict_counters_skipped(relation))
		pg_atomic_fetch_add_u64(&table->compared, skipped);
}

/* Count from zero: by what was registered for consistency.stat_reset(). */
static void
reset(void)
{
	for (int i = 0; i < MAX_COUNTERS; i++)
	{
		ConflictCounter *counter = &kept->counters[i];

		/* the key last, so that nobody counts on top of old numbers */
		pg_atomic_write_u64(&counter->last, 0);
		pg_atomic_write_u64(&counter->count, 0);
		pg_atomic_write_u64(&counter->key, 0);
	}
	for (int i = 0; i < MAX_TABLES; i++)
		free_table(&kept->tables[i]);
}

/* Give a place back, unless it holds what a comparison has to look for. */
static void
free_table(ConflictTable *table)
{
	uint64		skipped = pg_atomic_read_u64(&table->skipped);

	if (skipped != pg_atomic_read_u64(&table->compared))
		return;
	pg_atomic_write_u64(&table->compared, 0);
	pg_atomic_write_u64(&table->skipped, 0);
	pg_atomic_write_u64(&table->key, 0);
}

/* The place of a table of this database; NULL: it has none, or can't have one. */
static ConflictTable *
find_table(Oid relation, bool take)
{
	uint64		key = ((uint64) MyDatabaseId << 32) | relation;
	uint32		start = hash_combine(murmurhash32(MyDatabaseId), murmurhash32(relation));

	for (uint32 i = 0; i < MAX_TABLES; i++)
	{
		ConflictTable *table = &kept->tables[(start + i) % MAX_TABLES];

		if (claim(&table->key, key, take))
			return table;
	}
	return NULL;
}

/* The counter of that key; NULL: there is no room for it. */
static ConflictCounter *
find_counter(uint64 key)
{
	uint32		start = murmurhash32((uint32) (key >> 32) ^ murmurhash32((uint32) key));

	for (uint32 i = 0; i < MAX_COUNTERS; i++)
	{
		ConflictCounter *counter = &kept->counters[(start + i) % MAX_COUNTERS];

		if (claim(&counter->key, key, true))
			return counter;
	}
	return NULL;
}

/* Is a place that of the key; or has it become so now, if it may be taken? */
static bool
claim(pg_atomic_uint64 *place, uint64 key, bool take)
{
	uint64		other = pg_atomic_read_u64(place);

	if (other == 0 && take && pg_atomic_compare_exchange_u64(place, &other, key))
		return true;
	return other == key;
}

/*
 * consistency.conflict_counters(): a row for each counter of this database
 *		relation (OID), column (number; null: the row), kind, resolution,
 *		discarded, count, last
 */
Datum
consistency_conflict_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	errors_require_preload("consistency.stat_conflicts");
	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < MAX_COUNTERS; i++)
	{
		ConflictCounter *counter = &kept->counters[i];
		uint64		key = pg_atomic_read_u64(&counter->key);
		ConflictTable *table;

		if (key == 0)
			continue;
		table = &kept->tables[(key >> TABLE_SHIFT) - 1];
		if (pg_atomic_read_u64(&table->key) >> 32 == MyDatabaseId)
			put_counter(rsinfo, table, counter);
	}
	return (Datum) 0;
}

static void
put_counter(ReturnSetInfo *rsinfo, const ConflictTable *table, ConflictCounter *counter)
{
	uint64		key = pg_atomic_read_u64(&counter->key);
	uint64		count = pg_atomic_read_u64(&counter->count);
	AttrNumber	column = (AttrNumber) (key >> COLUMN_SHIFT & 0xffff);
	ConflictKind kind = key >> KIND_SHIFT & 0xff;
	ConflictResolution resolution = key & 0xff;
	Datum		values[CONFLICT_COUNTERS_COLUMNS];
	bool		nulls[CONFLICT_COUNTERS_COLUMNS] = {false};

	/* taken just now, or being reset */
	if (key == 0 || count == 0)
		return;
	values[0] = ObjectIdGetDatum((Oid) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &table->key)));
	values[1] = Int16GetDatum(column);
	nulls[1] = column == InvalidAttrNumber;
	values[2] = CStringGetTextDatum(conflict_kind_name(kind));
	values[3] = CStringGetTextDatum(conflict_resolution_name(resolution));
	values[4] = BoolGetDatum(conflict_discards(resolution));
	values[5] = Int64GetDatum((int64) count);
	values[6] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&counter->last));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
