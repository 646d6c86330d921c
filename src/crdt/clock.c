/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  A hybrid logical clock, for stamps that order changes by time.
 *
 * Preloaded, one clock in shared memory serves all backends, and no stamp is
 * given out twice.  Otherwise each backend has its own; then only the stamp that
 * was seen, in the value to be changed, is sure to be exceeded.
 *
 * What was given out must not come again after a restart, a crash or a
 * promotion, even if the physical clock was set back meanwhile.  So there is a
 * mark in the write-ahead log, the sequence consistency.clock_mark: a stamp is
 * given out only below it, and the clock goes on from there.  Whoever reaches the
 * mark moves it a second ahead.  It belongs to the database, as the values do,
 * and is a sequence since that isn't taken back with a transaction.
 *
 * A stamp that is further ahead than consistency.max_clock_drift isn't followed,
 * or one value from a broken clock would take along all whom it meets, for years.
 * Whoever changes that value gets the next stamp behind it, and the clock stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "core/extension.h"
#include "core/shmem.h"
#include "crdt/clock.h"
#include "crdt/replica_id.h"

#define MARK_NAME "clock_mark"

/* how far the mark is moved ahead of a stamp: a second */
#define MARK_AHEAD (INT64CONST(1000) << CLOCK_COUNTER_BITS)

/* at most one message about stamps that are far ahead in this time: a minute */
#define LOG_INTERVAL (60 * USECS_PER_SEC)

/* milliseconds from 1970 to where timestamps count from */
#define EPOCH_MS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * 1000))

/* databases for which the clock remembers that it is past their mark */
#define STARTED_DATABASES 1024

#define CLOCK_COLUMNS 6

/* Shared by all backends if preloaded; no lock. */
typedef struct Clock
{
	pg_atomic_uint64 last;		/* the highest stamp that was given out */
	pg_atomic_uint64 far_stamps;	/* seen and not followed */
	pg_atomic_uint64 last_far;	/* the last one of these; 0: none */
	pg_atomic_uint64 logged_at; /* TimestampTz of the last message about one */

	/*
	 * OIDs of databases whose mark the clock has gone beyond since the server
	 * started, at OID modulo size or behind; 0: free.  One that finds no
	 * place only costs: the clock goes to the mark in each of its backends
	 * anew.
	 */
	pg_atomic_uint32 started[STARTED_DATABASES];
} Clock;

static Clock own_clock;
static Clock *clock_used = &own_clock;

static int	max_drift = 60 * 1000;	/* consistency.max_clock_drift, ms */

/*
 * The mark as it was when this backend last looked, 0 if it must look first; and
 * the sequence that it was read from.
 */
static int64 known_mark = 0;
static Oid	mark_oid = InvalidOid;

static void setup_clock(void *segment);
static void forget_mark(Datum arg, Oid relation);
static int64 physical_stamp(void);
static int64 last_stamp(void);
static void raise_clock(int64 stamp);
static bool is_started(void);
static void note_started(void);
static int64 advance(int64 at_least);
static bool is_far(int64 seen, int64 physical);
static void note_far(int64 seen, int64 physical);
static int64 read_mark(void);
static void write_mark(int64 mark);
static int64 look_at_mark(void);
static void keep_mark_ahead(int64 stamp);

PG_FUNCTION_INFO_V1(consistency_clock_next);
PG_FUNCTION_INFO_V1(consistency_clock_time);
PG_FUNCTION_INFO_V1(consistency_clock);

/* Works without preloading. */
void
clock_init(void)
{
	/* set by administrators, for the server */
	DefineCustomIntVariable("consistency.max_clock_drift",
							"How far ahead of this server's clock a stamp may be for the clock to follow it.",
							"Stamps further ahead are counted in consistency.clock, and logged.",
							&max_drift,
							60 * 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	setup_clock(&own_clock);
	if (process_shared_preload_libraries_in_progress)
		shmem_register("consistency clock", sizeof(Clock), 0, (void **) &clock_used, setup_clock);
	CacheRegisterRelcacheCallback(forget_mark, (Datum) 0);
}

static void
setup_clock(void *segment)
{
	Clock	   *fresh = segment;

	pg_atomic_init_u64(&fresh->last, 0);
	pg_atomic_init_u64(&fresh->far_stamps, 0);
	pg_atomic_init_u64(&fresh->last_far, 0);
	pg_atomic_init_u64(&fresh->logged_at, 0);
	for (int i = 0; i < STARTED_DATABASES; i++)
		pg_atomic_init_u32(&fresh->started[i], InvalidOid);
}

/* The sequence has gone, or is another one. */
static void
forget_mark(Datum arg, Oid relation)
{
	if (relation == mark_oid || !OidIsValid(relation))
		known_mark = 0;
}

/*
 * clock_next
 *		A stamp that is larger than one that was seen (0: none), and than all
 *		that were given out.
 *
 * Raises an error during recovery, unless the session has a replica id of its
 * own: nothing can be changed here as this database.
 */
int64
clock_next(int64 seen)
{
	int64		physical = physical_stamp();
	int64		stamp;

	if (RecoveryInProgress())
		(void) replica_id_own();
	if (seen < 0 || seen == PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("there is no stamp behind " INT64_FORMAT, seen),
				 errhint("It was made by hand, or by a broken clock. Overwrite the value by a new one.")));
	if (known_mark == 0)
		(void) look_at_mark();
	if (is_far(seen, physical))
	{
		note_far(seen, physical);
		return seen + 1;
	}
	stamp = advance(Max(physical, seen + 1));
	if (stamp >= known_mark)
		keep_mark_ahead(stamp);
	return stamp;
}

/*
 * clock_witness
 *		A stamp came in: from now on those that are given out here are larger.
 *
 * False if it is too far ahead to be followed.
 */
bool
clock_witness(int64 seen)
{
	int64		physical = physical_stamp();

	if (seen <= last_stamp())
		return true;
	if (is_far(seen, physical))
	{
		note_far(seen, physical);
		return false;
	}
	raise_clock(seen);
	return true;
}

/* --- the clock ----------------------------------------------------------- */

/* The physical clock, as a stamp that hasn't counted yet. */
static int64
physical_stamp(void)
{
	int64		ms = GetCurrentTimestamp() / 1000 + EPOCH_MS;

	return Min(Max(ms, 0), PG_INT64_MAX >> CLOCK_COUNTER_BITS) << CLOCK_COUNTER_BITS;
}

static int64
last_stamp(void)
{
	return (int64) pg_atomic_read_u64(&clock_used->last);
}

/* Let it be no lower than this. */
static void
raise_clock(int64 stamp)
{
	uint64		last = pg_atomic_read_u64(&clock_used->last);

	while (last < (uint64) stamp &&
		   !pg_atomic_compare_exchange_u64(&clock_used->last, &last, (uint64) stamp))
		;
}

/* Has the clock gone beyond this database's mark since the server was started? */
static bool
is_started(void)
{
	for (uint32 i = 0; i < STARTED_DATABASES; i++)
	{
		Oid			database = pg_atomic_read_u32(&clock_used->started[(MyDatabaseId + i) % STARTED_DATABASES]);

		if (database == MyDatabaseId)
			return true;
		if (database == InvalidOid)
			break;
	}
	return false;
}

static void
note_started(void)
{
	for (uint32 i = 0; i < STARTED_DATABASES; i++)
	{
		uint32		database = InvalidOid;

		if (pg_atomic_compare_exchange_u32(&clock_used->started[(MyDatabaseId + i) % STARTED_DATABASES],
										   &database, MyDatabaseId) ||
			database == MyDatabaseId)
			break;
	}
}

/* The next stamp, and no lower than this; nobody else gets the same. */
static int64
advance(int64 at_least)
{
	uint64		last = pg_atomic_read_u64(&clock_used->last);
	uint64		next;

	do
	{
		next = Max(last + 1, (uint64) at_least);
		if (next > (uint64) PG_INT64_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the clock has run out of stamps"),
					 errhint("This server's clock is, or was, thousands of years ahead. Set it right, then consistency.clock_mark, and restart the server.")));
	} while (!pg_atomic_compare_exchange_u64(&clock_used->last, &last, next));
	return (int64) next;
}

/* --- stamps that are not followed ---------------------------------------- */

/* Is it too far ahead to be followed?  Not if our own clock was there before. */
static bool
is_far(int64 seen, int64 physical)
{
	return seen - physical > (int64) max_drift << CLOCK_COUNTER_BITS && seen > last_stamp();
}

/* Count it, and say so in the log, but not all the time. */
static void
note_far(int64 seen, int64 physical)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		logged_at = pg_atomic_read_u64(&clock_used->logged_at);

	pg_atomic_fetch_add_u64(&clock_used->far_stamps, 1);
	pg_atomic_write_u64(&clock_used->last_far, (uint64) seen);
	if (logged_at != 0 && now >= (TimestampTz) logged_at && now - (TimestampTz) logged_at < LOG_INTERVAL)
		return;
	if (!pg_atomic_compare_exchange_u64(&clock_used->logged_at, &logged_at, (uint64) now))
		return;
	ereport(LOG,
			(errmsg("stamp " INT64_FORMAT " of a value is " INT64_FORMAT " ms ahead of this server's clock, which does not follow it",
					seen, (seen - physical) >> CLOCK_COUNTER_BITS),
			 errdetail("consistency.max_clock_drift is %d ms.", max_drift),
			 errhint("Look for a clock that is wrong: this server's, or that of a replica. Further messages like this are left out for a minute.")));
}

/* --- the mark ------------------------------------------------------------ */

/*
 * Where the mark is now; 0 if it was never set.  Read and written with the rights
 * of its owner: who may change a value may do so as well.
 */
static int64
read_mark(void)
{
	LOCAL_FCINFO(call, 1);
	Oid			user;
	int			context;
	Datum		mark;

	mark_oid = extension_relation(MARK_NAME);
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(mark_oid);
	call->args[0].isnull = false;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(extension_relation_owner(mark_oid), context | SECURITY_LOCAL_USERID_CHANGE);
	mark = pg_sequence_last_value(call);
	SetUserIdAndSecContext(user, context);
	return call->isnull ? 0 : DatumGetInt64(mark);
}

static void
write_mark(int64 mark)
{
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(extension_relation_owner(mark_oid), context | SECURITY_LOCAL_USERID_CHANGE);
	DirectFunctionCall2(setval_oid, ObjectIdGetDatum(mark_oid), Int64GetDatum(mark));
	SetUserIdAndSecContext(user, context);
}

/*
 * The first use in this backend: the clock goes on from the mark, if it hasn't done
 * so since the server was started.  If each backend did, the clock would run ahead
 * by a second with each.  A clock of our own doesn't know that, so it goes on from
 * where the mark was set.
 *
 * During recovery it is the primary that moves the mark, and goes on doing so.
 *
 * Returns the mark.
 */
static int64
look_at_mark(void)
{
	int64		mark = read_mark();

	if (!shmem_is_preloaded())
		raise_clock(Max(mark - MARK_AHEAD, 0));
	else if (!is_started())
		raise_clock(mark);
	if (!RecoveryInProgress())
	{
		known_mark = mark;
		if (shmem_is_preloaded())
			note_started();
	}
	return mark;
}

/*
 * The mark that we know was reached by a stamp: move it, unless somebody else has
 * done so.  Where nothing can be written, nothing that has the stamp can, either.
 */
static void
keep_mark_ahead(int64 stamp)
{
	Oid			locked;

	if (XactReadOnly || IsInParallelMode() || RecoveryInProgress())
		return;
	/* One at a time, so that it never moves back. */
	locked = extension_relation(MARK_NAME);
	LockRelationOid(locked, ShareUpdateExclusiveLock);
	known_mark = read_mark();
	if (stamp >= known_mark)
	{
		int64		mark = stamp + Min(MARK_AHEAD, PG_INT64_MAX - stamp);

		write_mark(mark);
		known_mark = mark;
	}
	UnlockRelationOid(locked, ShareUpdateExclusiveLock);
}

/* --- functions ----------------------------------------------------------- */

/* consistency.clock_next(seen bigint) returns bigint */
Datum
consistency_clock_next(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(clock_next(PG_GETARG_INT64(0)));
}

/* The time that a stamp stands for. */
TimestampTz
clock_time(int64 stamp)
{
	return ((stamp >> CLOCK_COUNTER_BITS) - EPOCH_MS) * 1000;
}

/* consistency.clock_time(stamp bigint) returns timestamptz */
Datum
consistency_clock_time(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(clock_time(PG_GETARG_INT64(0)));
}

/*
 * consistency.clock() returns record
 *		stamp, physical, ahead, mark, far_stamps, last_far_stamp
 */
Datum
consistency_clock(PG_FUNCTION_ARGS)
{
	TupleDesc	row;
	Datum		values[CLOCK_COLUMNS];
	bool		nulls[CLOCK_COLUMNS] = {false};
	int64		mark = look_at_mark();
	int64		stamp = last_stamp();
	int64		ahead = Max(stamp - physical_stamp(), 0) >> CLOCK_COUNTER_BITS;
	uint64		last_far = pg_atomic_read_u64(&clock_used->last_far);
	Interval   *interval = palloc0(sizeof(Interval));

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	interval->time = ahead * 1000;
	values[0] = Int64GetDatum(stamp);
	nulls[0] = stamp == 0;
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[2] = IntervalPGetDatum(interval);
	values[3] = Int64GetDatum(mark);
	nulls[3] = mark == 0;
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&clock_used->far_stamps));
	values[5] = Int64GetDatum((int64) last_far);
	nulls[5] = last_far == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(row, values, nulls)));
}
