/*-------------------------------------------------------------------------
 *
 * read_stats.c
 *	  What reads were promised, where they were answered, and what that took.
 *
 * Every read adds to three counters, so those are spread: each backend has its
 * stripe, which it shares with few others.  What only reads have that waited, or
 * were answered elsewhere than planned, is counted in one place for all.
 *
 * A read is counted when it has run for the first time, by what
 * consistency.last_read() knows of it then.  A cursor's later portions add to
 * its rows and time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "core/kept.h"
#include "stats/policy_stats.h"
#include "stats/read_stats.h"

/* the last one's counters are those of all databases beyond the others */
#define MAX_DATABASES 64

/* Backends that share one are not more than a server has cores for. */
#define STRIPES 16

/* executions that are open at a time and counted rightly: cursors */
#define MAX_OPEN 4

/* What every read adds to */
typedef struct ReadCounter
{
	pg_atomic_uint64 reads;
	pg_atomic_uint64 rows;
	pg_atomic_uint64 time_us;
	uint64		unused;			/* two to a cache line */
} ReadCounter;

/* What few reads add to */
typedef struct ReadTroubles
{
	pg_atomic_uint64 wait_us;
	pg_atomic_uint64 timeouts;
	pg_atomic_uint64 retries;
	pg_atomic_uint64 fallbacks[NUM_READ_FALLBACKS];
	pg_atomic_uint64 wait_buckets[WAIT_BUCKETS];
} ReadTroubles;

typedef struct DatabaseReads
{
	ReadCounter counters[STRIPES][READ_STATS_LEVELS][NUM_READ_PLACES];
	ReadTroubles troubles[READ_STATS_LEVELS][NUM_READ_PLACES];
} DatabaseReads;

typedef struct ReadStats
{
	pg_atomic_uint32 databases[MAX_DATABASES];	/* OIDs; 0: free */
	DatabaseReads reads[MAX_DATABASES];
} ReadStats;

/* An execution that isn't over */
typedef struct OpenRead
{
	const void *query;			/* its address; NULL: none */
	uint64		statement;		/* whose record tells what becomes of it */
	ReadPlace	place;			/* as far as that is known */
	bool		counted;
	bool		shape;			/* it asks for no rows */
	TimestampTz message;		/* when its message began */
	Declaration declaration;
} OpenRead;

bool		guc_track_reads = true;
int			guc_log_min_wait = -1;

/* NULL without preload */
static ReadStats *stats = NULL;

static OpenRead open_reads[MAX_OPEN];
static OpenRead shape_asked;	/* the last that asked for no rows; not
								 * counted: none */
static TimestampTz last_end = 0;	/* of the last run that was counted */
static uint64 last_counted = 0; /* statement whose record has been used */

static OpenRead *find_open(const void *query);
static void go_on(OpenRead *read);
static void count(const Declaration *declaration, ReadPlace place, uint64 rows, int64 time_us);
static void count_first(const Declaration *declaration, ReadPlace place, const LastRead *record);
static void log_wait(const LastRead *record, ReadPlace place);
static DatabaseReads *reads_of_database(void);
static int	find_database(void);
static void reset_database(DatabaseReads *reads);

/* Only while the library is being preloaded. */
void
read_stats_init(void)
{
	stats = kept_register("reads", sizeof(ReadStats));

	/* set by administrators */
	DefineCustomIntVariable("consistency.log_min_wait",
							"Logs reads that had to wait for that long for their consistency.",
							"-1 logs none; 0 all that had to wait.",
							&guc_log_min_wait,
							-1, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by administrators */
	DefineCustomBoolVariable("consistency.track_reads",
							 "Counts reads, for consistency.stat_reads and consistency.stat_tables.",
							 NULL,
							 &guc_track_reads,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
}

/*
 * read_stats_begin
 *		An execution begins: a read that is promised this, or, for NULL, nothing
 *		that is counted.
 */
void
read_stats_begin(const void *query, const Declaration *declaration, bool shape)
{
	static int	next = 0;
	OpenRead   *read = find_open(query);

	if (declaration == NULL || !guc_track_reads)
	{
		/* One that was aborted may have had the same address. */
		if (read)
			read->query = NULL;
		return;
	}
	if (read == NULL)
		read = find_open(NULL);
	if (read == NULL)
		read = &open_reads[next++ % MAX_OPEN];

	read->query = query;
	read->statement = last_read_current()->number;
	read->place = READ_LOCAL;
	read->counted = false;
	read->shape = shape;
	read->message = GetCurrentStatementStartTimestamp();
	read->declaration = *declaration;
	if (shape_asked.counted && !shape)
		go_on(read);
}

/*
 * read_stats_run
 *		An execution has run, all of it or a portion, and has given that many rows.
 *
 * The clock is asked once.  The run has begun with the client's message, or when
 * the run before it in the same message ended; a wait came earlier, if the
 * execution was started by an earlier message.
 */
void
read_stats_run(const void *query, uint64 rows)
{
	OpenRead   *read = find_open(query);
	const LastRead *record = last_read_current();
	TimestampTz message = GetCurrentStatementStartTimestamp();
	TimestampTz now;
	int64		time_us;

	if (read == NULL)
		return;
	now = GetCurrentTimestamp();
	time_us = now - Max(message, last_end);
	last_end = now;

	if (read->statement != record->number)
		record = NULL;			/* a cursor, and others have come since */
	else
		read->place = record->place;
	if (!read->counted)
	{
		if (record && read->message != message)
			time_us += record->waited_us;
		count_first(&read->declaration, read->place, record);
		read->counted = true;
	}
	count(&read->declaration, read->place, rows, Max(time_us, 0));
}

/* An execution has ended. */
void
read_stats_end(const void *query)
{
	OpenRead   *read = find_open(query);

	if (read == NULL)
		return;
	if (read->shape)
		shape_asked = *read;
	read->query = NULL;
}

/* A statement that reads without a query has met its promise, and runs. */
void
read_stats_utility(const Declaration *declaration)
{
	if (guc_track_reads)
		count_first(declaration, last_read_current()->place, last_read_current());
}

/*
 * A read is refused: its promise can't be kept.  A snapshot that is taken ahead of
 * the first statement of a transaction has no record of its own.
 */
void
read_stats_refused(const Declaration *declaration)
{
	const LastRead *record = last_read_current();

	if (guc_track_reads)
		count_first(declaration, READ_REFUSED, record->number != last_counted ? record : NULL);
}

/* Begin to count from zero. */
void
read_stats_reset(void)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		reset_database(&stats->reads[i]);
		pg_atomic_write_u32(&stats->databases[i], InvalidOid);
	}
}

/* How many places for databases there are. */
int
read_stats_databases(void)
{
	return MAX_DATABASES;
}

/* Whose counters they are; the last place's are those of all others. */
Oid
read_stats_database(int place)
{
	return pg_atomic_read_u32(&stats->databases[place]);
}

/* Add up what was counted there. */
void
read_stats_totals(int place, ConsistencyLevel level, ReadPlace where, ReadTotals *totals)
{
	DatabaseReads *reads = &stats->reads[place];
	ReadTroubles *troubles = &reads->troubles[level][where];

	memset(totals, 0, sizeof(*totals));
	for (int stripe = 0; stripe < STRIPES; stripe++)
	{
		ReadCounter *counter = &reads->counters[stripe][level][where];

		totals->reads += pg_atomic_read_u64(&counter->reads);
		totals->rows += pg_atomic_read_u64(&counter->rows);
		totals->time_us += pg_atomic_read_u64(&counter->time_us);
	}
	totals->wait_us = pg_atomic_read_u64(&troubles->wait_us);
	totals->timeouts = pg_atomic_read_u64(&troubles->timeouts);
	totals->retries = pg_atomic_read_u64(&troubles->retries);
	for (int i = 0; i < NUM_READ_FALLBACKS; i++)
		totals->fallbacks[i] = pg_atomic_read_u64(&troubles->fallbacks[i]);
	for (int i = 0; i < WAIT_BUCKETS; i++)
	{
		totals->wait_buckets[i] = pg_atomic_read_u64(&troubles->wait_buckets[i]);
		totals->waits += totals->wait_buckets[i];
	}
}

static OpenRead *
find_open(const void *query)
{
	for (int i = 0; i < MAX_OPEN; i++)
	{
		if (open_reads[i].query == query)
			return &open_reads[i];
	}
	return NULL;
}

/* Its columns were asked for just before: it was counted with these. */
static void
go_on(OpenRead *read)
{
	if (shape_asked.message == read->message)
	{
		read->counted = true;
		read->place = shape_asked.place;
		read->statement = shape_asked.statement;
	}
	shape_asked.counted = false;
}

/* Rows have come, and it took that long. */
static void
count(const Declaration *declaration, ReadPlace place, uint64 rows, int64 time_us)
{
	ReadCounter *counter = &reads_of_database()->counters[MyProcPid % STRIPES][declaration->level][place];

	pg_atomic_fetch_add_u64(&counter->rows, rows);
	pg_atomic_fetch_add_u64(&counter->time_us, time_us);
}

/* A read was answered, or refused; record: what is known of it, if anything is. */
static void
count_first(const Declaration *declaration, ReadPlace place, const LastRead *record)
{
	DatabaseReads *reads = reads_of_database();
	ReadTroubles *troubles = &reads->troubles[declaration->level][place];

	pg_atomic_fetch_add_u64(&reads->counters[MyProcPid % STRIPES][declaration->level][place].reads, 1);
	if (declaration->policed.n > 0)
		policy_stats_count(declaration, place, record);
	if (record == NULL)
		return;
	last_counted = record->number;
	if (record->waited_us >= WAIT_SHORTEST_US)
	{
		pg_atomic_fetch_add_u64(&troubles->wait_us, record->waited_us);
		pg_atomic_fetch_add_u64(&troubles->wait_buckets[wait_bucket(record->waited_us)], 1);
		log_wait(record, place);
	}
	if (record->timeouts > 0)
		pg_atomic_fetch_add_u64(&troubles->timeouts, record->timeouts);
	if (record->retries > 0)
		pg_atomic_fetch_add_u64(&troubles->retries, record->retries);
	if (record->fallback != FALLBACK_NONE)
		pg_atomic_fetch_add_u64(&troubles->fallbacks[record->fallback], 1);
}

/* A read that waited, for consistency.log_min_wait. */
static void
log_wait(const LastRead *record, ReadPlace place)
{
	char		requirement[REQUIREMENT_TEXT_SIZE];

	if (guc_log_min_wait < 0 || record->waited_us < guc_log_min_wait * INT64CONST(1000))
		return;
	ereport(LOG,
			(errmsg("read waited %.3f ms for consistency level \"%s\"",
					record->waited_us / 1000.0, level_name(record->level)),
			 errdetail("Place: %s; requirement: %s; decided by: %s.",
					   read_place_name(place), requirement_text(&record->requirement, requirement),
					   declaration_source_text(record->source, record->relation)),
			 errhidecontext(true)));
}

static DatabaseReads *
reads_of_database(void)
{
	static int	place = MAX_DATABASES - 1;

	if (pg_atomic_read_u32(&stats->databases[place]) != MyDatabaseId)
		place = find_database();
	return &stats->reads[place];
}

/* The place of this database; the last one for all that have none. */
static int
find_database(void)
{
	for (int i = 0; i < MAX_DATABASES - 1; i++)
	{
		uint32		other = InvalidOid;

		if (pg_atomic_compare_exchange_u32(&stats->databases[i], &other, MyDatabaseId) ||
			other == MyDatabaseId)
			return i;
	}
	return MAX_DATABASES - 1;
}

/* Not atomic as a whole: what is counted meanwhile may stay, or not. */
static void
reset_database(DatabaseReads *reads)
{
	pg_atomic_uint64 *counters = (pg_atomic_uint64 *) reads;

	StaticAssertStmt(sizeof(pg_atomic_uint64) == sizeof(uint64), "emulated atomics");
	for (Size i = 0; i < sizeof(*reads) / sizeof(pg_atomic_uint64); i++)
		pg_atomic_write_u64(&counters[i], 0);
}
