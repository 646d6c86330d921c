/*-------------------------------------------------------------------------
 *
 * replica_id.c
 *	  Who we are when we change a CRDT.
 *
 * An id is 63 random bits, drawn where there is none yet that was drawn by this
 * very database: same system identifier, timeline, database and place.  It is kept
 * as a row of consistency.replica_ids, so that it is in the write-ahead log ahead
 * of whatever was changed under it, and isn't dumped.
 *
 * A promotion begins a timeline, a restore to a point in time too; a new
 * cluster, or one that was upgraded, has another system identifier.  A database
 * that was made from another one as its template has another OID.  A copy of the
 * files differs by its place: the file system's name for the control file and
 * when that was created, and the machine's name and id.  Mistaking the same place
 * for another costs an entry in each counter, nothing else.
 *
 * Only the id that was drawn last counts.  So if files go from one place to a
 * second one, where they are changed on, and back again, the first id isn't used
 * anew: what was changed under it after the files had left is unknown here.
 *
 * Two transactions that find no id draw one each, and both are good: nothing is
 * lost as long as nobody else uses them.  So nobody waits for anybody.
 *
 * What this can't notice: a disk that is set back to an earlier state in its
 * place, a machine that is cloned while it runs.  And commits that went lost in a
 * crash, since synchronous_commit or fsync was off, but were shown to somebody
 * before.  consistency.draw_replica_id() is for these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/extension.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"

#define TABLE_NAME "replica_ids"

/* columns of consistency.replica_ids */
enum
{
	COLUMN_ID = 1,
	COLUMN_SYSTEM,
	COLUMN_TIMELINE,
	COLUMN_DATABASE,
	COLUMN_PLACE,
	COLUMN_ORDINAL,
	COLUMN_DRAWN_AT
};

#define COLUMNS COLUMN_DRAWN_AT

/* What tells an incarnation from all others. */
typedef struct Incarnation
{
	int64		system_identifier;
	int64		timeline;
	Oid			database;
	int64		place;
} Incarnation;

static char *setting = NULL;	/* consistency.replica_id */
static uint64 from_setting = 0; /* 0: not set */
static uint64 own_id = 0;		/* 0: not known */
static Oid	table_oid = InvalidOid; /* where own_id was read or written */
static bool drawn = false;		/* by the current transaction */

static bool check_setting(char **newval, void **extra, GucSource source);
static void assign_setting(const char *newval, void *extra);
static void forget_on_invalidation(Datum arg, Oid relation);
static void forget_at_end(XactEvent event, void *arg);
static void forget_on_subabort(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg);
static uint64 find_or_draw(void);
static Incarnation incarnation(void);
static int64 place(void);
static void add_control_file(StringInfo text);
static void add_machine(StringInfo text);
static bool is_of(const Datum *values, const Incarnation *wanted);
static uint64 find(const Incarnation *wanted);
static int64 last_ordinal(Relation relation);
static uint64 random_id(void);
static uint64 draw(const Incarnation *drawn_by);
static Datum as_text(uint64 id);

PG_FUNCTION_INFO_V1(consistency_replica_id);
PG_FUNCTION_INFO_V1(consistency_draw_replica_id);
PG_FUNCTION_INFO_V1(consistency_skip_change);

/* Works without preloading. */
void
replica_id_init(void)
{
	/* set by applications that merge on behalf of devices, and by tests */
	DefineCustomStringVariable("consistency.replica_id",
							   "Replica id under which this session changes CRDTs.",
							   "An empty string is this server's own. No two sessions may use the same id at the same time but on the same rows of one server.",
							   &setting,
							   "",
							   PGC_USERSET,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_DISALLOW_IN_AUTO_FILE,
							   check_setting, assign_setting, NULL);
	CacheRegisterRelcacheCallback(forget_on_invalidation, (Datum) 0);
	RegisterXactCallback(forget_at_end, NULL);
	RegisterSubXactCallback(forget_on_subabort, NULL);
}

/* Not for a server: what is copied with its files would go on under the same id. */
static bool
check_setting(char **newval, void **extra, GucSource source)
{
	uint64	   *id;

	if ((*newval)[0] != '\0' && (source == PGC_S_FILE || source == PGC_S_ARGV))
	{
		GUC_check_errmsg("consistency.replica_id cannot be set for a server");
		GUC_check_errhint("A server draws its id by itself. Set it for a session, a role or a database.");
		return false;
	}
	id = COMPAT_GUC_MALLOC(sizeof(uint64));

	if (id == NULL)
		return false;
	*id = 0;
	if ((*newval)[0] != '\0' && !crdt_try_parse_id(*newval, strlen(*newval), id))
	{
		COMPAT_GUC_FREE(id);
		GUC_check_errdetail("A replica id is 1 to 16 hexadecimal digits, not all of them 0.");
		return false;
	}
	*extra = id;
	return true;
}

static void
assign_setting(const char *newval, void *extra)
{
	from_setting = *(const uint64 *) extra;
}

/* Another session has drawn one on purpose, or the table has gone. */
static void
forget_on_invalidation(Datum arg, Oid relation)
{
	if (relation == table_oid || !OidIsValid(relation))
		own_id = 0;
}

/* The id may have been drawn by what was rolled back, or isn't committed yet. */
static void
forget_at_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			if (drawn)
				own_id = 0;
			drawn = false;
			break;
		case XACT_EVENT_COMMIT:
			drawn = false;
			break;
		default:
			break;
	}
}

static void
forget_on_subabort(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && drawn)
		own_id = 0;
}

/*
 * replica_id_own
 *		The replica id that changes are to be made under.
 *
 * Raises an error where nothing can be changed: during recovery, and in a
 * transaction that is read only if an id must be drawn first.
 */
uint64
replica_id_own(void)
{
	if (from_setting != 0)
		return from_setting;
	if (own_id == 0)
		own_id = find_or_draw();
	return own_id;
}

static uint64
find_or_draw(void)
{
	Incarnation here;
	uint64		id;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change a CRDT value during recovery"),
				 errhint("Change it at the primary, or set consistency.replica_id if the result is for a replica of your own.")));

	here = incarnation();
	id = find(&here);
	if (id != 0)
		return id;
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot draw a replica id in a read-only transaction"),
				 errhint("Call consistency.replica_id() once in a transaction that may write.")));
	return draw(&here);
}

/* Another id for this database, from now on, for all sessions. */
uint64
replica_id_draw(void)
{
	Incarnation here = incarnation();

	own_id = draw(&here);
	CacheInvalidateRelcacheByRelid(table_oid);
	return own_id;
}

static Incarnation
incarnation(void)
{
	Incarnation here;

	here.system_identifier = (int64) GetSystemIdentifier();
	here.timeline = GetWALInsertionTimeLine();
	here.database = MyDatabaseId;
	here.place = place();
	return here;
}

/* --- the place ----------------------------------------------------------- */

/* Where this server's files are: a hash of all that tells a copy from them. */
static int64
place(void)
{
	static int64 known = 0;		/* it doesn't move while it runs */
	StringInfoData text;

	if (known == 0)
	{
		initStringInfo(&text);
		appendStringInfoString(&text, DataDir);
		add_control_file(&text);
		add_machine(&text);
		known = (int64) hash_bytes_extended((unsigned char *) text.data, text.len, 0);
		pfree(text.data);
	}
	return known;
}

/*
 * The control file's number in its file system, and when it was created, where
 * that is known: a copy has others, and the number alone is given to another
 * file once this one is gone.  It is only ever written to in place.
 */
static void
add_control_file(StringInfo text)
{
	struct stat control;
#ifdef STATX_BTIME
	struct statx more;
#endif

	if (stat("global/pg_control", &control) == 0)
		appendStringInfo(text, " " UINT64_FORMAT, (uint64) control.st_ino);
#ifdef STATX_BTIME
	if (statx(AT_FDCWD, "global/pg_control", 0, STATX_BTIME, &more) == 0 && (more.stx_mask & STATX_BTIME))
		appendStringInfo(text, " " INT64_FORMAT ".%09u", (int64) more.stx_btime.tv_sec, more.stx_btime.tv_nsec);
#endif
}

/* Its name, which tells containers apart, and its id where it has one. */
static void
add_machine(StringInfo text)
{
	char		name[256] = "";
	char		id[64];
	FILE	   *file;

	if (gethostname(name, sizeof(name) - 1) == 0)
		appendStringInfo(text, " %s", name);
	file = AllocateFile("/etc/machine-id", PG_BINARY_R);
	if (file != NULL)
	{
		appendBinaryStringInfo(text, id, fread(id, 1, sizeof(id), file));
		FreeFile(file);
	}
}

/* --- the table ----------------------------------------------------------- */

/* Is it the row of an id that this incarnation has drawn? */
static bool
is_of(const Datum *values, const Incarnation *wanted)
{
	return DatumGetInt64(values[COLUMN_SYSTEM - 1]) == wanted->system_identifier &&
		DatumGetInt64(values[COLUMN_TIMELINE - 1]) == wanted->timeline &&
		DatumGetObjectId(values[COLUMN_DATABASE - 1]) == wanted->database &&
		DatumGetInt64(values[COLUMN_PLACE - 1]) == wanted->place;
}

/*
 * The id that was drawn last, if it was by this incarnation; the smallest if
 * several transactions did so at a time; 0 if none.  Our own transaction's
 * counts, others' once they are committed, whatever the snapshot.
 */
static uint64
find(const Incarnation *wanted)
{
	Relation	relation = table_open(table_oid = extension_relation(TABLE_NAME), AccessShareLock);
	TableScanDesc scan = table_beginscan(relation, SnapshotSelf, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	uint64		found = 0;
	int64		last = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		int64		ordinal;
		uint64		id;

		slot_getallattrs(slot);
		ordinal = DatumGetInt64(slot->tts_values[COLUMN_ORDINAL - 1]);
		id = (uint64) DatumGetInt64(slot->tts_values[COLUMN_ID - 1]);
		if (ordinal > last)
			found = 0;
		if (ordinal >= last && is_of(slot->tts_values, wanted) && (found == 0 || id < found))
			found = id;
		last = Max(last, ordinal);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* The highest ordinal of all rows, those of unfinished transactions too. */
static int64
last_ordinal(Relation relation)
{
	TableScanDesc scan = table_beginscan(relation, SnapshotAny, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	int64		last = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		slot_getallattrs(slot);
		last = Max(last, DatumGetInt64(slot->tts_values[COLUMN_ORDINAL - 1]));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return last;
}

static uint64
random_id(void)
{
	uint64		id;

	do
	{
		if (!pg_strong_random(&id, sizeof(id)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate a random replica id")));
		id &= (uint64) PG_INT64_MAX;
	} while (id == 0);
	return id;
}

/* Draw an id for this incarnation, and write it down. */
static uint64
draw(const Incarnation *drawn_by)
{
	Relation	relation = table_open(table_oid = extension_relation(TABLE_NAME), RowExclusiveLock);
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};
	uint64		id = random_id();

	values[COLUMN_ID - 1] = Int64GetDatum((int64) id);
	values[COLUMN_SYSTEM - 1] = Int64GetDatum(drawn_by->system_identifier);
	values[COLUMN_TIMELINE - 1] = Int64GetDatum(drawn_by->timeline);
	values[COLUMN_DATABASE - 1] = ObjectIdGetDatum(drawn_by->database);
	values[COLUMN_PLACE - 1] = Int64GetDatum(drawn_by->place);
	values[COLUMN_ORDINAL - 1] = Int64GetDatum(last_ordinal(relation) + 1);
	values[COLUMN_DRAWN_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	drawn = true;
	CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	table_close(relation, NoLock);
	return id;
}

/* --- functions ----------------------------------------------------------- */

/* As it is written in states. */
static Datum
as_text(uint64 id)
{
	return PointerGetDatum(cstring_to_text(psprintf("%" INT64_MODIFIER "x", id)));
}

/* consistency.replica_id() */
Datum
consistency_replica_id(PG_FUNCTION_ARGS)
{
	return as_text(replica_id_own());
}

/* consistency.draw_replica_id(): another one, from now on, for all sessions */
Datum
consistency_draw_replica_id(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("consistency.draw_replica_id()");
	PreventCommandIfReadOnly("consistency.draw_replica_id()");
	return as_text(replica_id_draw());
}

/*
 * consistency.skip_change(), a trigger
 *		Let no change of a row happen.
 *
 * Fired for what logical replication brings.  Who publishes all tables sends the
 * rows of consistency.replica_ids along: they are none of the other side's, and
 * come back from there as duplicates if it publishes all tables, too.
 */
Datum
consistency_skip_change(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("consistency.skip_change() can only be called as a trigger")));
	PG_RETURN_POINTER(NULL);
}
