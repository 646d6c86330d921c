/*-------------------------------------------------------------------------
 *
 * row_store.c
 *	  Finding and writing rows of an attached table, as replication does.
 *
 * By the functions that the apply worker uses: triggers, constraints and indexes
 * are heeded, rights and row-level security aren't asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "converge/row_store.h"

/* who is writing; a trigger that he fires finds the work done */
static RowStore *writing = NULL;

static bool find_by_snapshot(RowStore *store);
static bool scan(Relation relation, Oid key_index, const Datum *values, Snapshot snapshot, TupleTableSlot *slot);
static void begin_writing(RowStore *store);
static void end_writing(RowStore *store);

/* A table that is open and locked, and its index to find rows by. */
RowStore *
row_store_open(Relation relation, Oid key_index)
{
	RowStore   *store = palloc0(sizeof(RowStore));

	store->relation = relation;
	store->key_index = key_index;
	store->estate = CreateExecutorState();
	compat_init_range_table(store->estate, relation);
	store->info = makeNode(ResultRelInfo);
	InitResultRelInfo(store->info, relation, 1, NULL, 0);
	store->estate->es_opened_result_relations =
		lappend(store->estate->es_opened_result_relations, store->info);
	store->estate->es_output_cid = GetCurrentCommandId(true);
	store->sought = table_slot_create(relation, &store->estate->es_tupleTable);
	store->found = table_slot_create(relation, &store->estate->es_tupleTable);
	store->written = table_slot_create(relation, &store->estate->es_tupleTable);
	ExecOpenIndices(store->info, false);
	AfterTriggerBeginQuery();
	return store;
}

/* Fires the AFTER triggers of what was written, and shows it to what follows. */
void
row_store_close(RowStore *store)
{
	AfterTriggerEndQuery(store->estate);
	ExecCloseIndices(store->info);
	ExecResetTupleTable(store->estate->es_tupleTable, false);
	FreeExecutorState(store->estate);
	CommandCounterIncrement();
	pfree(store);
}

/*
 * row_store_find
 *		The row with this key, locked; NULL if there is none.
 *
 * Waits for transactions that are about to insert or delete it.
 */
HeapTuple
row_store_find(RowStore *store, const Datum *values, const AttrNumber *keys, int nkeys, LockTupleMode mode)
{
	TupleTableSlot *sought = store->sought;

	ExecClearTuple(sought);
	memset(sought->tts_isnull, true, sizeof(bool) * sought->tts_tupleDescriptor->natts);
	for (int i = 0; i < nkeys; i++)
	{
		sought->tts_values[keys[i] - 1] = values[keys[i] - 1];
		sought->tts_isnull[keys[i] - 1] = false;
	}
	ExecStoreVirtualTuple(sought);
	for (;;)
	{
		if (RelationFindReplTupleByIndex(store->relation, store->key_index, mode,
										 sought, store->found))
			break;

		/*
		 * That looks at rows as they come, and misses one that an update
		 * moves behind its back.  A snapshot doesn't.
		 */
		if (!find_by_snapshot(store))
			return NULL;
	}
	return ExecFetchSlotHeapTuple(store->found, true, NULL);
}

/* Is there a row in a snapshot that is taken now? */
static bool
find_by_snapshot(RowStore *store)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		found = scan(store->relation, store->key_index, store->sought->tts_values, snapshot, store->found);

	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * row_store_any
 *		Is there a row with this key, or somebody about to insert or delete one?
 *		Waits for nobody.  Values are an array by attribute number - 1.
 */
bool
row_store_any(Relation relation, Oid key_index, const Datum *values)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	SnapshotData dirty;
	bool		found;

	InitDirtySnapshot(dirty);
	found = scan(relation, key_index, values, &dirty, slot);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * row_store_excluded
 *		Is there a row that one of the indexes doesn't allow together with this one?
 *
 * Waits for transactions that are about to insert or delete such a row.
 */
bool
row_store_excluded(Relation relation, HeapTuple tuple, List *indexes)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(relation, &estate->es_tupleTable);
	ItemPointerData conflict;
	bool		excluded;

	compat_init_range_table(estate, relation);
	InitResultRelInfo(info, relation, 1, NULL, 0);
	ExecOpenIndices(info, true);
	ExecForceStoreHeapTuple(tuple, slot, false);
	ItemPointerSetInvalid(&slot->tts_tid);
	excluded = !COMPAT_CHECK_INDEX_CONSTRAINTS(info, slot, estate, &conflict, indexes);
	ExecCloseIndices(info);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	return excluded;
}

static bool
scan(Relation relation, Oid key_index, const Datum *values, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation	index = index_open(key_index, RowExclusiveLock);
	int			nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	ScanKeyData keys[INDEX_MAX_KEYS];
	IndexScanDesc scan = COMPAT_INDEX_BEGINSCAN(relation, index, snapshot, nkeys);
	bool		found;

	for (int i = 0; i < nkeys; i++)
	{
		AttrNumber	column = index->rd_index->indkey.values[i];
		Oid			equal = get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
												index->rd_opcintype[i], BTEqualStrategyNumber);

		ScanKeyInit(&keys[i], i + 1, BTEqualStrategyNumber, get_opcode(equal), values[column - 1]);
		keys[i].sk_collation = index->rd_indcollation[i];
	}
	index_rescan(scan, keys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

/* --- writing ------------------------------------------------------------- */

static void
begin_writing(RowStore *store)
{
	store->before = writing;
	writing = store;
}

static void
end_writing(RowStore *store)
{
	writing = store->before;
}

void
row_store_insert(RowStore *store, HeapTuple tuple)
{
	ExecForceStoreHeapTuple(tuple, store->written, false);
	begin_writing(store);
	PG_TRY();
	{
		ExecSimpleRelationInsert(store->info, store->estate, store->written);
	}
	PG_FINALLY();
	{
		end_writing(store);
	}
	PG_END_TRY();
}

/* In place of the row that was found. */
void
row_store_update(RowStore *store, HeapTuple tuple)
{
	EPQState	recheck;

	ExecForceStoreHeapTuple(tuple, store->written, false);
	COMPAT_EVAL_PLAN_QUAL_INIT(&recheck, store->estate);
	begin_writing(store);
	PG_TRY();
	{
		ExecSimpleRelationUpdate(store->info, store->estate, &recheck, store->found, store->written);
	}
	PG_FINALLY();
	{
		end_writing(store);
	}
	PG_END_TRY();
	EvalPlanQualEnd(&recheck);
}

/* The row that was found. */
void
row_store_delete(RowStore *store)
{
	EPQState	recheck;

	COMPAT_EVAL_PLAN_QUAL_INIT(&recheck, store->estate);
	begin_writing(store);
	PG_TRY();
	{
		ExecSimpleRelationDelete(store->info, store->estate, &recheck, store->found);
	}
	PG_FINALLY();
	{
		end_writing(store);
	}
	PG_END_TRY();
	EvalPlanQualEnd(&recheck);
	/* What is inserted in its place has to come later. */
	CommandCounterIncrement();
	store->estate->es_output_cid = GetCurrentCommandId(true);
}

/* Was a row trigger fired by what we write ourselves? */
bool
row_store_is_behind(const TriggerData *trigger)
{
	return writing != NULL && trigger->tg_relation == writing->relation &&
		(trigger->tg_trigslot == writing->written || trigger->tg_trigslot == writing->info->ri_TrigOldSlot);
}
