/*-------------------------------------------------------------------------
 *
 * tombstone.c
 *	  What is left of a row that was deleted from an attached table.
 *
 * Written without regard to who deletes the row: whoever may delete it may leave
 * this behind, and nothing else.  An update isn't sent to where the row is
 * missing, so a tombstone is never updated, but replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "converge/row_store.h"
#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "core/compat.h"
#include "core/extension.h"

#define SETTLED_TABLE_NAME "settled_tombstones"

static Tombstone *read_tombstone(TupleTableSlot *slot);

/* What is left of the row with this key; NULL if nothing. */
Tombstone *
tombstone_find(TableRules *rules, const char *key)
{
	Relation	relation = table_open(extension_relation(TOMBSTONE_TABLE), RowExclusiveLock);
	TupleTableSlot *sought = table_slot_create(relation, NULL);
	TupleTableSlot *found = table_slot_create(relation, NULL);
	Tombstone  *tombstone = NULL;

	memset(sought->tts_isnull, true, sizeof(bool) * TOMBSTONE_COLUMNS);
	sought->tts_values[TOMBSTONE_RELATION - 1] = CStringGetTextDatum(rules->name);
	sought->tts_isnull[TOMBSTONE_RELATION - 1] = false;
	sought->tts_values[TOMBSTONE_KEY - 1] = CStringGetTextDatum(key);
	sought->tts_isnull[TOMBSTONE_KEY - 1] = false;
	ExecStoreVirtualTuple(sought);
	if (RelationFindReplTupleByIndex(relation, COMPAT_PRIMARY_KEY_INDEX(relation), LockTupleExclusive, sought, found))
		tombstone = read_tombstone(found);
	ExecDropSingleTupleTableSlot(sought);
	ExecDropSingleTupleTableSlot(found);
	table_close(relation, NoLock);
	return tombstone;
}

/* Is there one with this key, or somebody about to write or remove it?  Waits for nobody. */
bool
tombstone_any(TableRules *rules, const char *key)
{
	Relation	relation = table_open(extension_relation(TOMBSTONE_TABLE), RowExclusiveLock);
	Datum		values[TOMBSTONE_COLUMNS] = {0};
	bool		found;

	values[TOMBSTONE_RELATION - 1] = CStringGetTextDatum(rules->name);
	values[TOMBSTONE_KEY - 1] = CStringGetTextDatum(key);
	found = row_store_any(relation, COMPAT_PRIMARY_KEY_INDEX(relation), values);
	table_close(relation, NoLock);
	return found;
}

static Tombstone *
read_tombstone(TupleTableSlot *slot)
{
	Tombstone  *tombstone = palloc0(sizeof(Tombstone));

	slot_getallattrs(slot);
	tombstone->place = slot->tts_tid;
	tombstone->version =
		row_version_read((struct varlena *) PG_DETOAST_DATUM_COPY(slot->tts_values[TOMBSTONE_VERSION - 1]));
	if (!slot->tts_isnull[TOMBSTONE_IMAGE - 1])
		tombstone->image = DatumGetJsonbPCopy(slot->tts_values[TOMBSTONE_IMAGE - 1]);
	return tombstone;
}

/*
 * tombstone_is_settled
 *		Do all members of the group have it, and nothing older on its way to us?
 *
 * Then some may have removed it: see group/tombstone_purge.c.
 */
bool
tombstone_is_settled(TableRules *rules, const char *key, const Tombstone *tombstone)
{
	Relation	relation = table_open(extension_relation(SETTLED_TABLE_NAME), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		settled = false;

	ScanKeyInit(&keys[0], TOMBSTONE_RELATION, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(rules->name));
	ScanKeyInit(&keys[1], TOMBSTONE_KEY, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(key));
	scan = systable_beginscan(relation, COMPAT_PRIMARY_KEY_INDEX(relation), true, GetTransactionSnapshot(), 2, keys);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, TOMBSTONE_VERSION, RelationGetDescr(relation), &isnull);
		RowVersion	version = row_version_read((struct varlena *) PG_DETOAST_DATUM(value));

		settled = row_version_equal(&version, &tombstone->version);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return settled;
}

/* There is none of this key. */
void
tombstone_write(TableRules *rules, const char *key, const RowVersion *version, Jsonb *image)
{
	Relation	relation = table_open(extension_relation(TOMBSTONE_TABLE), RowExclusiveLock);
	Datum		values[TOMBSTONE_COLUMNS];
	bool		nulls[TOMBSTONE_COLUMNS] = {false};

	values[TOMBSTONE_RELATION - 1] = CStringGetTextDatum(rules->name);
	values[TOMBSTONE_KEY - 1] = CStringGetTextDatum(key);
	values[TOMBSTONE_VERSION - 1] = PointerGetDatum(row_version_write(version));
	values[TOMBSTONE_IMAGE - 1] = PointerGetDatum(image);
	nulls[TOMBSTONE_IMAGE - 1] = image == NULL;
	CatalogTupleInsert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

/*
 * tombstone_put
 *		Leave this of a row that was there.
 *
 * Something is left already if the row has come back behind the trigger's back,
 * as a table does that is restored.  What that knew is kept.
 */
void
tombstone_put(TableRules *rules, const char *key, const RowVersion *version, Jsonb *image)
{
	Tombstone  *there = tombstone_find(rules, key);
	RowVersion	merged = *version;

	if (there != NULL)
	{
		merged = row_version_merge(version, &there->version);
		tombstone_remove(there);
	}
	tombstone_write(rules, key, &merged, image);
}

void
tombstone_remove(const Tombstone *tombstone)
{
	Relation	relation = table_open(extension_relation(TOMBSTONE_TABLE), RowExclusiveLock);
	ItemPointerData place = tombstone->place;

	CatalogTupleDelete(relation, &place);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

/* All of a table that isn't attached any more. */
void
tombstone_remove_all(const char *table)
{
	Relation	relation = table_open(extension_relation(TOMBSTONE_TABLE), RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, TOMBSTONE_RELATION, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(table));
	scan = systable_beginscan(relation, COMPAT_PRIMARY_KEY_INDEX(relation), true, GetTransactionSnapshot(), 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
		CatalogTupleDelete(relation, &tuple->t_self);
	systable_endscan(scan);
	table_close(relation, NoLock);
}

/*
 * tombstone_row
 *		The row as it was, for tables where additions win.
 *
 * The array has its key.  What the image doesn't have, or has as something that the
 * column can't be, is as in the other row: its table was changed since, or it has no
 * image.  That row may be NULL; then it is null.
 */
RowImage
tombstone_row(TableRules *rules, const Tombstone *tombstone, const Datum *key, const RowImage *other)
{
	RowImage	row = row_image_empty(rules);

	if (other != NULL)
	{
		memcpy(row.values, other->values, sizeof(Datum) * rules->ncolumns);
		memcpy(row.nulls, other->nulls, sizeof(bool) * rules->ncolumns);
	}
	for (int i = 0; i < rules->nkeys; i++)
	{
		row.values[rules->keys[i] - 1] = key[rules->keys[i] - 1];
		row.nulls[rules->keys[i] - 1] = false;
	}
	if (tombstone->image != NULL)
		row_text_parse_image(rules, tombstone->image, row.values, row.nulls);
	row.version = tombstone->version;
	return row;
}
