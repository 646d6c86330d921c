/*-------------------------------------------------------------------------
 *
 * advise_collect.c
 *	  What consistency.advise() judges: this server's statistics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "advise/advise.h"

static void collect_lag(AdviseFacts *facts);
static void collect_tables(AdviseFacts *facts);
static void collect_declared(AdviseFacts *facts);
static void run(const char *query);
static char *value_of(uint64 row, int column);
static Datum datum_of(uint64 row, int column, bool *isnull);
static int64 number_of(uint64 row, int column, int64 missing);
static int	lag_ms_of(Datum lag);
static double seconds_since(Datum since);
static AdviseTable *table_of(uint64 row);
static List *oids_of(Datum array);
static void read_policies(AdviseTable *table);
static void add_policy(AdviseTable *table, const Policy *policy);
static AdviseDeclared *declared_of(uint64 row);
static ConsistencyLevel level_of(uint64 row, int column);
static int	staleness_of(uint64 row, int column);

/* Fill in all but what pg_stat_statements tells. */
void
advise_collect(AdviseFacts *facts)
{
	facts->in_recovery = RecoveryInProgress();
	facts->monitor_interval_ms = guc_monitor_interval;
	facts->lag_is_shown = has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
	if (facts->lag_is_shown)
		collect_lag(facts);
	collect_tables(facts);
	collect_declared(facts);
}

/*
 * The table that advice is about, or NULL.
 */
AdviseTable *
advise_find_table(const AdviseFacts *facts, Oid relid)
{
	ListCell   *cell;

	foreach(cell, facts->tables)
	{
		AdviseTable *table = lfirst(cell);

		if (table->relid == relid)
			return table;
	}
	return NULL;
}

/*
 * The lag of replicas that are up, as it is now.  Where lag is measured over
 * time (consistency.stat_nodes), its usual value belongs here.
 */
static void
collect_lag(AdviseFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;

	run("SELECT state, role, lag FROM consistency.nodes");
	facts->lag_ms = MemoryContextAlloc(context, Max(SPI_processed, 1) * sizeof(int));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		lag = datum_of(i, 3, &isnull);

		if (!isnull && strcmp(value_of(i, 1), "up") == 0 && strcmp(value_of(i, 2), "replica") == 0)
			facts->lag_ms[facts->nreplicas++] = lag_ms_of(lag);
	}
	SPI_finish();
}

/*
 * Tables, and how often each is read and written.  Reads are scans: what this
 * server counts in any case.  Where reads are counted by table and level
 * (consistency.stat_tables), those belong here: AdviseTable.reads.
 */
static void
collect_tables(AdviseFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;

	run("SELECT relation, reads, writes, refers_to, since FROM consistency.table_facts()");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		bool		isnull;
		Datum		since = datum_of(i, 5, &isnull);

		facts->tables = lappend(facts->tables, table_of(i));
		if (!isnull)
			facts->seconds = seconds_since(since);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

static void
collect_declared(AdviseFacts *facts)
{
	MemoryContext context = CurrentMemoryContext;

	run("SELECT roleid, role, database, level, minimum_level, max_staleness FROM consistency.level_facts()");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		facts->declared = lappend(facts->declared, declared_of(i));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/* Run a query; its rows are there until SPI_finish(). */
static void
run(const char *query)
{
	SPI_connect();
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read this server's own statistics");
}

/* A column of a row as text, palloc'd; NULL for a null. */
static char *
value_of(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static Datum
datum_of(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

static int64
number_of(uint64 row, int column, int64 missing)
{
	bool		isnull;
	Datum		number = datum_of(row, column, &isnull);

	return isnull ? missing : DatumGetInt64(number);
}

/* Lag in milliseconds; one of more than a day is a day. */
static int
lag_ms_of(Datum lag)
{
	const Interval *interval = DatumGetIntervalP(lag);
	int64		us = interval->time + interval->day * USECS_PER_DAY;

	if (interval->month != 0 || us > USECS_PER_DAY)
		us = USECS_PER_DAY;
	return (int) (us / 1000);
}

static double
seconds_since(Datum since)
{
	return (GetCurrentTimestamp() - DatumGetTimestampTz(since)) / (double) USECS_PER_SEC;
}

static AdviseTable *
table_of(uint64 row)
{
	AdviseTable *table = palloc0(sizeof(AdviseTable));
	bool		isnull;

	table->relid = DatumGetObjectId(datum_of(row, 1, &isnull));
	table->reads = number_of(row, 2, 0);
	table->writes = number_of(row, 3, -1);
	table->refers_to = oids_of(datum_of(row, 4, &isnull));
	read_policies(table);
	return table;
}

static List *
oids_of(Datum array)
{
	List	   *oids = NIL;
	Datum	   *elements;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		oids = lappend_oid(oids, DatumGetObjectId(elements[i]));
	return oids;
}

/* What readers of the table get who declare nothing. */
static void
read_policies(AdviseTable *table)
{
	Policy		by_default = {
		.kind = POLICY_DEFAULT,
		.level = level_default(),
		.max_staleness_ms = -1,
		.max_lag = -1
	};
	const Policy *policies;
	bool		has_default = false;

	table->npolicies = policy_of_relation(table->relid, &policies);
	table->max_staleness_ms = table->max_lag = -1;
	for (int i = 0; i < table->npolicies; i++)
	{
		has_default |= policies[i].kind == POLICY_DEFAULT;
		add_policy(table, &policies[i]);
	}
	if (!has_default)
		add_policy(table, &by_default);
}

/* Demands add up. */
static void
add_policy(AdviseTable *table, const Policy *policy)
{
	Policy		demand = *policy;

	if (demand.level > table->level)
	{
		table->level = demand.level;
		table->level_policy = demand;
	}
	if (demand.level != LEVEL_BOUNDED)
		return;
	if (demand.max_staleness_ms < 0 && demand.max_lag < 0)
	{
		demand.max_staleness_ms = guc_max_staleness;
		demand.max_lag = guc_max_lag;
	}
	if (demand.max_staleness_ms >= 0 &&
		(table->max_staleness_ms < 0 || demand.max_staleness_ms < table->max_staleness_ms))
	{
		table->max_staleness_ms = demand.max_staleness_ms;
		table->bound_policy = demand;
	}
	if (demand.max_lag >= 0 && (table->max_lag < 0 || demand.max_lag < table->max_lag))
	{
		table->max_lag = demand.max_lag;
		table->bound_policy = demand;
	}
}

static AdviseDeclared *
declared_of(uint64 row)
{
	AdviseDeclared *declared = palloc0(sizeof(AdviseDeclared));
	bool		isnull;

	declared->roleid = DatumGetObjectId(datum_of(row, 1, &isnull));
	declared->role = value_of(row, 2);
	declared->database = value_of(row, 3);
	declared->level = level_of(row, 4);
	declared->minimum = level_of(row, 5);
	declared->max_staleness_ms = staleness_of(row, 6);
	return declared;
}

static ConsistencyLevel
level_of(uint64 row, int column)
{
	const char *name = value_of(row, column);

	return name ? level_parse(name) : LEVEL_UNSET;
}

/* A bound as a setting writes it; the one that counts here if there is none. */
static int
staleness_of(uint64 row, int column)
{
	const char *text = value_of(row, column);
	int			ms;

	return text &&parse_int(text, &ms, GUC_UNIT_MS, NULL) ? ms : guc_max_staleness;
}
