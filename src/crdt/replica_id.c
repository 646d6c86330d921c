/*-------------------------------------------------------------------------
 *
 * replica_id.c
 *	  Who we are when we change a CRDT.
 *
 * An id is 63 random bits, drawn where there is none yet that was drawn by this
 * very server: same system identifier, timeline and place.  It is kept as a row
 * of consistency.replica_ids, so that it is in the write-ahead log ahead of
 * whatever was changed under it, and isn't dumped.
 *
 * A promotion begins a timeline, a restore to a point in time too; a new
 * cluster, or one that was upgraded, has another system identifier.  A copy of
 * the files differs by its place: the file system's name for the control file,
 * and the machine's id.  Mistaking the same place for another costs an entry in
 * each counter, nothing else.
 *
 * Two transactions that find no id draw one each, and both are good: nothing is
 * lost as long as nobody else uses them.  So nobody waits for anybody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
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
	COLUMN_PLACE,
	COLUMN_DRAWN_AT,
	COLUMN_RETIRED_AT
};

#define COLUMNS COLUMN_RETIRED_AT

/* What tells an incarnation from all others. */
typedef struct Incarnation
{
	int64		system_identifier;
	int64		timeline;
	int64		place;
} Incarnation;

static char *setting = NULL;	/* consistency.replica_id */
static uint64 from_setting = 0; /* 0: not set */
static uint64 own_id = 0;		/* 0: not known */
static Oid	table_oid = InvalidOid; /* where own_id was read or written */

static bool check_setting(char **newval, void **extra, GucSource source);
static void assign_setting(const char *newval, void *extra);
static void forget_on_invalidation(Datum arg, Oid relation);
static void forget_on_abort(XactEvent event, void *arg);
static void forget_on_subabort(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg);
static uint64 find_or_draw(void);
static Incarnation incarnation(void);
static int64 place(void);
static Relation open_table(void);
static bool is_of(const Datum *values, const bool *nulls, const Incarnation *wanted);
static uint64 find(Relation relation, const Incarnation *wanted);
static uint64 draw(Relation relation, const Incarnation *drawn_by);
static void retire(Relation relation, const Incarnation *here);

PG_FUNCTION_INFO_V1(consistency_replica_id);
PG_FUNCTION_INFO_V1(consistency_draw_replica_id);

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
							   PGC_USERSET, 0,
							   check_setting, assign_setting, NULL);
	CacheRegisterRelcacheCallback(forget_on_invalidation, (Datum) 0);
	RegisterXactCallback(forget_on_abort, NULL);
	RegisterSubXactCallback(forget_on_subabort, NULL);
}

static bool
check_setting(char **newval, void **extra, GucSource source)
{
	uint64	   *id = COMPAT_GUC_MALLOC(sizeof(uint64));

	if (id == NULL)
		return false;
	*id = 0;
	if ((*newval)[0] != '\0' && !crdt_try_parse_id(*newval, strlen(*newval), id))
	{
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

/* Another session has retired the id, or the table has gone. */
static void
forget_on_invalidation(Datum arg, Oid relation)
{
	if (relation == table_oid || !OidIsValid(relation))
		own_id = 0;
}

/* The id may have been drawn by what was rolled back. */
static void
forget_on_abort(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		own_id = 0;
}

static void
forget_on_subabort(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
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
	Relation	relation;
	uint64		id;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change a CRDT value during recovery"),
				 errhint("Change it at the primary, or set consistency.replica_id if the result is for a replica of your own.")));

	here = incarnation();
	relation = open_table();
	id = find(relation, &here);
	if (id == 0)
	{
		PreventCommandIfReadOnly("drawing a replica id");
		id = draw(relation, &here);
	}
	table_close(relation, NoLock);
	return id;
}

static Incarnation
incarnation(void)
{
	Incarnation here;

	here.system_identifier = (int64) GetSystemIdentifier();
	here.timeline = GetWALInsertionTimeLine();
	here.place = place();
	return here;
}

/*
 * Where this server's files are: a hash of the path of the data directory, the
 * number of the control file in its file system, which a copy doesn't keep, and
 * the machine's id where it has one.
 */
static int64
place(void)
{
	StringInfoData text;
	struct stat control;
	FILE	   *file;
	char		machine[64];

	initStringInfo(&text);
	appendStringInfoString(&text, DataDir);
	if (stat("global/pg_control", &control) == 0)
		appendStringInfo(&text, " " UINT64_FORMAT, (uint64) control.st_ino);
	file = AllocateFile("/etc/machine-id", PG_BINARY_R);
	if (file != NULL)
	{
		appendBinaryStringInfo(&text, machine, fread(machine, 1, sizeof(machine), file));
		FreeFile(file);
	}
	return (int64) hash_bytes_extended((unsigned char *) text.data, text.len, 0);
}

static Relation
open_table(void)
{
	table_oid = get_relname_relid(TABLE_NAME, get_namespace_oid(EXTENSION_SCHEMA_NAME, false));
	return table_open(table_oid, RowExclusiveLock);
}

/* Is it the row of an id that this incarnation has drawn, and may use? */
static bool
is_of(const Datum *values, const bool *nulls, const Incarnation *wanted)
{
	return nulls[COLUMN_RETIRED_AT - 1] &&
		DatumGetInt64(values[COLUMN_SYSTEM - 1]) == wanted->system_identifier &&
		DatumGetInt64(values[COLUMN_TIMELINE - 1]) == wanted->timeline &&
		DatumGetInt64(values[COLUMN_PLACE - 1]) == wanted->place;
}

/*
 * The id that this incarnation has drawn, the smallest if several transactions
 * did so at a time; 0 if none.  Our own transaction's counts, others' once they
 * are committed, whatever the snapshot.
 */
static uint64
find(Relation relation, const Incarnation *wanted)
{
	TableScanDesc scan = table_beginscan(relation, SnapshotSelf, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	uint64		found = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		uint64		id;

		slot_getallattrs(slot);
		id = (uint64) DatumGetInt64(slot->tts_values[COLUMN_ID - 1]);
		if (is_of(slot->tts_values, slot->tts_isnull, wanted) && (found == 0 || id < found))
			found = id;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return found;
}

/* Draw an id for this incarnation, and write it down. */
static uint64
draw(Relation relation, const Incarnation *drawn_by)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};
	uint64		id;

	do
	{
		if (!pg_strong_random(&id, sizeof(id)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate a random replica id")));
		id &= (uint64) PG_INT64_MAX;
	} while (id == 0);

	values[COLUMN_ID - 1] = Int64GetDatum((int64) id);
	values[COLUMN_SYSTEM - 1] = Int64GetDatum(drawn_by->system_identifier);
	values[COLUMN_TIMELINE - 1] = Int64GetDatum(drawn_by->timeline);
	values[COLUMN_PLACE - 1] = Int64GetDatum(drawn_by->place);
	values[COLUMN_DRAWN_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[COLUMN_RETIRED_AT - 1] = true;
	CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	return id;
}

/* Mark the ids of this incarnation as not to be used any more. */
static void
retire(Relation relation, const Incarnation *here)
{
	TableScanDesc scan = table_beginscan(relation, SnapshotSelf, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS];
		HeapTuple	changed;

		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		if (!is_of(values, nulls, here))
			continue;
		values[COLUMN_RETIRED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		nulls[COLUMN_RETIRED_AT - 1] = false;
		changed = heap_form_tuple(RelationGetDescr(relation), values, nulls);
		CatalogTupleUpdate(relation, &tuple->t_self, changed);
	}
	table_endscan(scan);
	CacheInvalidateRelcache(relation);
}

/* consistency.replica_id(): as it is written in states */
Datum
consistency_replica_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%" INT64_MODIFIER "x", replica_id_own())));
}

/* consistency.draw_replica_id(): another one, from now on */
Datum
consistency_draw_replica_id(PG_FUNCTION_ARGS)
{
	Incarnation here;
	Relation	relation;

	PreventCommandDuringRecovery("drawing a replica id");
	PreventCommandIfReadOnly("drawing a replica id");
	here = incarnation();
	relation = open_table();
	retire(relation, &here);
	own_id = draw(relation, &here);
	table_close(relation, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%" INT64_MODIFIER "x", own_id)));
}
