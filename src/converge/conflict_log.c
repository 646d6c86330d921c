/*-------------------------------------------------------------------------
 *
 * conflict_log.c
 *	  The newest conflicts, with what was kept and what was discarded:
 *	  consistency.conflicts.
 *
 * Rows are written in the transaction that merges, past all privileges and
 * triggers, and so that logical decoding doesn't see them.  Whatever goes wrong
 * there must not stop that transaction: apply would try it again forever.  So it
 * happens in a subtransaction, and nobody is waited for: where the table is locked
 * there is no row.  The conflict is counted in any case.
 *
 * Ids ascend, and the rows that are consistency.conflict_log_size behind are
 * removed now and then, so that there may be somewhat more rows than that; and
 * others, that aren't committed yet, aren't counted.  A row that another worker is
 * removing is left to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "commands/sequence.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "converge/conflict_log.h"
#include "converge/row_text.h"
#include "converge/table_rules.h"
#include "core/attempt.h"
#include "core/compat.h"
#include "core/extension.h"
#include "crdt/clock.h"
#include "crdt/row_version.h"

#define TABLE_NAME "conflicts"
#define SEQUENCE_NAME "conflict_ids"

/* A value, or row, that takes more bytes isn't kept. */
#define MAX_VALUE_SIZE (64 * 1024)

typedef enum ConflictLogMode
{
	CONFLICT_LOG_OFF,
	CONFLICT_LOG_DISCARDED,		/* only if something was lost */
	CONFLICT_LOG_ALL
} ConflictLogMode;

/* columns of consistency.conflicts */
enum
{
	LOG_ID = 1,
	LOG_AT,
	LOG_RELATION,
	LOG_KEY,
	LOG_COLUMN,
	LOG_KIND,
	LOG_RESOLUTION,
	LOG_DISCARDED,
	LOG_COUNT,
	LOG_LOCAL,
	LOG_INCOMING,
	LOG_TOO_LARGE,
	LOG_LOCAL_AT,
	LOG_LOCAL_STAMP,
	LOG_LOCAL_REPLICA,
	LOG_INCOMING_AT,
	LOG_INCOMING_STAMP,
	LOG_INCOMING_REPLICA
};

#define LOG_COLUMNS LOG_INCOMING_REPLICA

/* A row of consistency.conflicts */
typedef struct LogRow
{
	Datum		values[LOG_COLUMNS];
	bool		nulls[LOG_COLUMNS];
} LogRow;

/* What is to be written, for a function that may fail. */
typedef struct LogEntry
{
	Oid			relation;
	Relation	open;			/* the same; NULL: nothing is known of the row */
	Conflict	conflict;
	uint64		count;
} LogEntry;

/* One side of a conflict, and the columns that show it. */
typedef struct LogSide
{
	HeapTuple	tuple;
	const RowVersion *version;
	int			value;
	int			at;
	int			stamp;
	int			replica;
} LogSide;

static int	mode = CONFLICT_LOG_DISCARDED;	/* consistency.conflict_log */
static int	log_size = 5000;	/* consistency.conflict_log_size */

/* no row is left up to this id, if our transaction commits; 0: not known */
static int64 removed_to = 0;

static const struct config_enum_entry mode_options[] = {
	{"off", CONFLICT_LOG_OFF, false},
	{"discarded", CONFLICT_LOG_DISCARDED, false},
	{"all", CONFLICT_LOG_ALL, false},
	{NULL, 0, false}
};

static bool is_wanted(ConflictResolution resolution);
static void write_safely(const LogEntry *entry);
static void log_failure(const ErrorData *error);
static void write_entry(void *arg);
static LogRow describe(const LogEntry *entry);
static void put(LogRow *row, int column, Datum value);
static void put_text(LogRow *row, int column, const char *text);
static void describe_row(LogRow *row, const LogEntry *entry);
static void describe_side(LogRow *row, Relation relation, TableRules *rules, ColumnRule *column, const LogSide *side);
static bool is_too_large(TupleDesc desc, AttrNumber column, const Datum *values, const bool *nulls);
static Datum column_as_json(ColumnRule *column, Datum value, bool isnull);
static WriteStamp written(const RowVersion *version, const char *column);
static WriteStamp later(WriteStamp a, WriteStamp b);
static void insert(Relation log, LogRow *row);
static void insert_into_indexes(Relation log, TupleTableSlot *slot);
static void remove_old(Relation log, int64 newest);
static void forget_removed(XactEvent event, void *arg);
static void forget_removed_sub(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg);

/* Works without preloading. */
void
conflict_log_init(void)
{
	/* set by administrators: for the server or a database */
	DefineCustomEnumVariable("consistency.conflict_log",
							 "Which conflicts are kept in consistency.conflicts.",
							 "off: none; discarded: those in which something that was written got lost; all: all.",
							 &mode,
							 CONFLICT_LOG_DISCARDED,
							 mode_options,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	/* set by administrators: for the server or a database */
	DefineCustomIntVariable("consistency.conflict_log_size",
							"How many conflicts consistency.conflicts keeps.",
							"Older ones are removed; 0 keeps none.",
							&log_size,
							5000, 0, 10 * 1000 * 1000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);
	RegisterXactCallback(forget_removed, NULL);
	RegisterSubXactCallback(forget_removed_sub, NULL);
}

/* Write down that a conflict in a row of this table was resolved. */
void
conflict_log_conflict(Relation relation, const Conflict *conflict)
{
	LogEntry	entry = {
		.relation = RelationGetRelid(relation),
		.open = relation,
		.conflict = *conflict,
		.count = 1
	};

	if (is_wanted(conflict->resolution))
		write_safely(&entry);
}

/* Write down that so many updates of a table were skipped. */
void
conflict_log_skipped(Oid relation, uint64 count)
{
	LogEntry	entry = {
		.relation = relation,
		.conflict = {
			.kind = CONFLICT_UPDATE_MISSING,
			.resolution = RESOLUTION_KEPT_LOCAL
		},
		.count = count
	};

	if (is_wanted(RESOLUTION_KEPT_LOCAL))
		write_safely(&entry);
}

static bool
is_wanted(ConflictResolution resolution)
{
	return log_size > 0 &&
		(mode == CONFLICT_LOG_ALL || (mode == CONFLICT_LOG_DISCARDED && conflict_discards(resolution)));
}

/* --- failing ------------------------------------------------------------- */

/* Write it, unless that fails; only what was cancelled from outside goes on failing. */
static void
write_safely(const LogEntry *entry)
{
	MemoryContext before = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "conflict log", ALLOCSET_SMALL_SIZES);
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = attempt(write_entry, unconstify(LogEntry *, entry));
	if (error != NULL)
		log_failure(error);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
}

/* Once a session, so that the log isn't flooded. */
static void
log_failure(const ErrorData *error)
{
	static bool logged = false;

	if (!logged)
		ereport(LOG,
				(errmsg("could not write to consistency.conflicts: %s", error->message),
				 errdetail("Conflicts are merged all the same. Further failures in this session are not logged.")));
	logged = true;
}

/* --- the row ------------------------------------------------------------- */

static void
write_entry(void *arg)
{
	const LogEntry *entry = arg;
	Oid			oid = extension_relation(TABLE_NAME);
	Relation	log;
	LogRow		row;

	/* whoever has locked the table may keep it for long */
	if (!ConditionalLockRelationOid(oid, RowExclusiveLock))
		return;
	log = table_open(oid, NoLock);
	if (RelationGetNumberOfAttributes(log) != LOG_COLUMNS)
		elog(ERROR, "table has other columns than expected");
	row = describe(entry);
	insert(log, &row);
	remove_old(log, DatumGetInt64(row.values[LOG_ID - 1]));
	table_close(log, NoLock);
}

static LogRow
describe(const LogEntry *entry)
{
	const Conflict *conflict = &entry->conflict;
	LogRow		row;

	memset(row.nulls, true, sizeof(row.nulls));
	put(&row, LOG_ID, Int64GetDatum(nextval_internal(extension_relation(SEQUENCE_NAME), false)));
	put(&row, LOG_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	put(&row, LOG_RELATION, ObjectIdGetDatum(entry->relation));
	put_text(&row, LOG_KIND, conflict_kind_name(conflict->kind));
	put_text(&row, LOG_RESOLUTION, conflict_resolution_name(conflict->resolution));
	put(&row, LOG_DISCARDED, BoolGetDatum(conflict_discards(conflict->resolution)));
	put(&row, LOG_COUNT, Int64GetDatum((int64) entry->count));
	put(&row, LOG_TOO_LARGE, BoolGetDatum(false));
	if (entry->open)
		describe_row(&row, entry);
	return row;
}

static void
put(LogRow *row, int column, Datum value)
{
	row->values[column - 1] = value;
	row->nulls[column - 1] = false;
}

static void
put_text(LogRow *row, int column, const char *text)
{
	put(row, column, CStringGetTextDatum(text));
}

/* Key, column, and the two versions. */
static void
describe_row(LogRow *row, const LogEntry *entry)
{
	const Conflict *conflict = &entry->conflict;
	TupleDesc	desc = RelationGetDescr(entry->open);
	TableRules *rules = table_rules(entry->open);
	ColumnRule *column = conflict->column == InvalidAttrNumber ? NULL : &rules->columns[conflict->column - 1];
	HeapTuple	any = conflict->local ? conflict->local : conflict->incoming;
	LogSide		local = {conflict->local, conflict->local_version,
	LOG_LOCAL, LOG_LOCAL_AT, LOG_LOCAL_STAMP, LOG_LOCAL_REPLICA};
	LogSide		incoming = {conflict->incoming, conflict->incoming_version,
	LOG_INCOMING, LOG_INCOMING_AT, LOG_INCOMING_STAMP, LOG_INCOMING_REPLICA};

	if (any)
	{
		Datum	   *values = palloc(sizeof(Datum) * desc->natts);
		bool	   *nulls = palloc(sizeof(bool) * desc->natts);

		heap_deform_tuple(any, desc, values, nulls);
		put(row, LOG_KEY, DirectFunctionCall1(jsonb_in, CStringGetDatum(row_text_key(rules, values))));
	}
	if (column)
		put(row, LOG_COLUMN, DirectFunctionCall1(namein, CStringGetDatum(column->name)));
	describe_side(row, entry->open, rules, column, &local);
	describe_side(row, entry->open, rules, column, &incoming);
}

/* The value of the column, or all columns, and who has written it when. */
static void
describe_side(LogRow *row, Relation relation, TableRules *rules, ColumnRule *column, const LogSide *side)
{
	TupleDesc	desc = RelationGetDescr(relation);
	WriteStamp	write = {0, 0};

	if (side->tuple)
	{
		Datum	   *values = palloc(sizeof(Datum) * desc->natts);
		bool	   *nulls = palloc(sizeof(bool) * desc->natts);

		heap_deform_tuple(side->tuple, desc, values, nulls);
		if (is_too_large(desc, column ? column->number : InvalidAttrNumber, values, nulls))
			put(row, LOG_TOO_LARGE, BoolGetDatum(true));
		else if (column)
			put(row, side->value, column_as_json(column, values[column->number - 1], nulls[column->number - 1]));
		else
			put(row, side->value, JsonbPGetDatum(row_text_image(rules, values, nulls)));
	}
	if (side->version)
		write = written(side->version, column ? column->name : NULL);
	if (write.stamp == 0)
		return;
	put(row, side->at, TimestampTzGetDatum(clock_time(write.stamp)));
	put(row, side->stamp, Int64GetDatum((int64) write.stamp));
	put_text(row, side->replica, psprintf("%" INT64_MODIFIER "x", write.replica));
}

/* Before anything is read from elsewhere, or made text. */
static bool
is_too_large(TupleDesc desc, AttrNumber column, const Datum *values, const bool *nulls)
{
	Size		size = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		if (nulls[i] || TupleDescAttr(desc, i)->attlen != -1)
			continue;
		if (column == InvalidAttrNumber || column == i + 1)
			size += toast_raw_datum_size(values[i]);
	}
	return size > MAX_VALUE_SIZE;
}

/* Its text as a JSON string. */
static Datum
column_as_json(ColumnRule *column, Datum value, bool isnull)
{
	StringInfoData text;

	initStringInfo(&text);
	if (isnull)
		appendStringInfoString(&text, "null");
	else
		escape_json(&text, row_text_value(column, value));
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

/* The write that a column has its value from; NULL: the last one to the row. */
static WriteStamp
written(const RowVersion *version, const char *column)
{
	const ColumnStamp *stamp = column ? row_version_find_column(version, column) : NULL;
	const ColumnValues *values = column ? row_version_find_values(version, column) : NULL;
	WriteStamp	last = version->row;

	if (stamp)
		return stamp->write;
	if (values)
	{
		last = values->values[0].write;
		for (int i = 1; i < values->n; i++)
			last = later(last, values->values[i].write);
	}
	for (int i = 0; column == NULL && i < version->ncolumns; i++)
	{
		if (!version->columns[i].first)
			last = later(last, version->columns[i].write);
	}
	return last;
}

static WriteStamp
later(WriteStamp a, WriteStamp b)
{
	return write_stamp_compare(a, b) >= 0 ? a : b;
}

/* --- the table ----------------------------------------------------------- */

static void
insert(Relation log, LogRow *row)
{
	TupleTableSlot *slot = table_slot_create(log, NULL);

	memcpy(slot->tts_values, row->values, sizeof(row->values));
	memcpy(slot->tts_isnull, row->nulls, sizeof(row->nulls));
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(log, slot, GetCurrentCommandId(true), TABLE_INSERT_NO_LOGICAL, NULL);
	insert_into_indexes(log, slot);
	ExecDropSingleTupleTableSlot(slot);
}

static void
insert_into_indexes(Relation log, TupleTableSlot *slot)
{
	CatalogIndexState indexes = CatalogOpenIndexes(log);

	for (int i = 0; i < indexes->ri_NumIndices; i++)
	{
		Relation	index = indexes->ri_IndexRelationDescs[i];
		IndexInfo  *info = indexes->ri_IndexRelationInfo[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		if (!info->ii_ReadyForInserts)
			continue;
		if (info->ii_Expressions != NIL || info->ii_Predicate != NIL)
			elog(ERROR, "table has an index that nothing is written to: \"%s\"", RelationGetRelationName(index));
		FormIndexDatum(info, slot, NULL, values, nulls);
		index_insert(index, values, nulls, &slot->tts_tid, log,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
	}
	CatalogCloseIndexes(indexes);
}

/*
 * Remove what is too far behind, each time that a sixteenth of the log is new.
 *
 * Rows are counted, from the newest one on, since transactions that fail leave
 * gaps between ids.  What was removed stays in the index for a while, so we don't
 * look there again.
 */
static void
remove_old(Relation log, int64 newest)
{
	static int64 last = 0;		/* the newest id when that was done */
	Relation	index;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		oldest = 0;
	int			rows = 1;		/* the one that was just written isn't seen
								 * yet */

	if (newest > last && newest < last + Max(log_size / 16, 1))
		return;
	/* the extension was created anew */
	if (newest < last)
		removed_to = 0;
	last = newest;

	index = index_open(COMPAT_PRIMARY_KEY_INDEX(log), AccessShareLock);
	ScanKeyInit(&key, LOG_ID, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(removed_to));
	scan = systable_beginscan_ordered(log, index, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, BackwardScanDirection)))
	{
		TM_FailureData failure;
		bool		isnull;

		if (++rows <= log_size)
			continue;
		if (oldest == 0)
			oldest = DatumGetInt64(heap_getattr(tuple, LOG_ID, RelationGetDescr(log), &isnull));
		(void) table_tuple_delete(log, &tuple->t_self, GetCurrentCommandId(true),
								  InvalidSnapshot, InvalidSnapshot, false, &failure, false);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	removed_to = Max(removed_to, oldest);
}

/* What a transaction has removed is there again when it is rolled back. */
static void
forget_removed(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		removed_to = 0;
}

static void
forget_removed_sub(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		removed_to = 0;
}
