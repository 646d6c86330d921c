/*-------------------------------------------------------------------------
 *
 * heap_range.c
 *	  The rows of a range of blocks, as one snapshot shows them, in digests.
 *
 * No index is used, so that a broken one can't hide a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/errors.h"
#include "verify/heap_range.h"
#include "verify/row_digest.h"

/* A scan over blocks, each row in a memory context of its own */
typedef struct RangeScan
{
	TableScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext row_context;
} RangeScan;

static void begin_scan(RangeScan *range, Relation relation, Snapshot snapshot,
					   DescentRange blocks);
static bool next_row(RangeScan *range);
static void end_scan(RangeScan *range);
static HeapRow *describe_row(TupleTableSlot *slot, Bitmapset *key, MemoryContext row_context);
static char *key_condition(TupleTableSlot *slot, Bitmapset *key);

/*
 * heap_range_digests
 *		The digest of each part of a range of blocks.
 *
 * Blocks that the table doesn't have (any more) have no rows.
 */
void
heap_range_digests(Relation relation, Snapshot snapshot, DescentRange blocks, int parts,
				   RangeDigest *digests)
{
	RangeScan	range;

	memset(digests, 0, sizeof(RangeDigest) * parts);
	begin_scan(&range, relation, snapshot, blocks);
	while (next_row(&range))
	{
		MemoryContext old = MemoryContextSwitchTo(range.row_context);
		int			part = descent_part_of(blocks, parts,
										   ItemPointerGetBlockNumber(&range.slot->tts_tid));

		range_digest_add(&digests[part], row_digest(range.slot, NULL));
		MemoryContextSwitchTo(old);
	}
	end_scan(&range);
}

/*
 * heap_range_rows
 *		The rows of a block, in the order of their places: a list of HeapRow in
 *		the current memory context.
 */
List *
heap_range_rows(Relation relation, Snapshot snapshot, BlockNumber block)
{
	Bitmapset  *key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	DescentRange blocks = {block, block};
	List	   *rows = NIL;
	RangeScan	range;

	begin_scan(&range, relation, snapshot, blocks);
	while (next_row(&range))
		rows = lappend(rows, describe_row(range.slot, key, range.row_context));
	end_scan(&range);
	return rows;
}

static void
begin_scan(RangeScan *range, Relation relation, Snapshot snapshot, DescentRange blocks)
{
	ItemPointerData first;
	ItemPointerData last;

	ItemPointerSet(&first, blocks.first, FirstOffsetNumber);
	ItemPointerSet(&last, blocks.last, MaxOffsetNumber);
	range->slot = table_slot_create(relation, NULL);
	range->scan = table_beginscan_tidrange(relation, snapshot, &first, &last);
	range->row_context = AllocSetContextCreate(CurrentMemoryContext, "row to be digested",
											   ALLOCSET_DEFAULT_SIZES);
}

static bool
next_row(RangeScan *range)
{
	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(range->row_context);
	return table_scan_getnextslot_tidrange(range->scan, ForwardScanDirection, range->slot);
}

static void
end_scan(RangeScan *range)
{
	table_endscan(range->scan);
	ExecDropSingleTupleTableSlot(range->slot);
	MemoryContextDelete(range->row_context);
}

static HeapRow *
describe_row(TupleTableSlot *slot, Bitmapset *key, MemoryContext row_context)
{
	HeapRow    *row = palloc(sizeof(HeapRow));
	MemoryContext old;
	char	   *condition;

	row->place = slot->tts_tid;
	row->ncolumns = slot->tts_tupleDescriptor->natts;
	row->columns = palloc(sizeof(uint64) * row->ncolumns);

	old = MemoryContextSwitchTo(row_context);
	row->digest = row_digest(slot, row->columns);
	condition = key_condition(slot, key);
	MemoryContextSwitchTo(old);
	/* it may be damaged, and is to be sent, and kept */
	row->key = errors_make_readable(pstrdup(condition));
	return row;
}

/* By its primary key; without one, by where it is. */
static char *
key_condition(TupleTableSlot *slot, Bitmapset *key)
{
	StringInfoData text;
	int			column = -1;

	if (bms_is_empty(key))
		return psprintf("ctid = '(%u,%u)'",
						ItemPointerGetBlockNumber(&slot->tts_tid),
						ItemPointerGetOffsetNumber(&slot->tts_tid));
	initStringInfo(&text);
	while ((column = bms_next_member(key, column)) >= 0)
	{
		AttrNumber	number = column + FirstLowInvalidHeapAttributeNumber;
		Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, number - 1);
		Oid			output;
		bool		is_varlena;
		bool		isnull;
		Datum		value = slot_getattr(slot, number, &isnull);

		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		appendStringInfo(&text, "%s%s = %s", text.len > 0 ? " AND " : "",
						 quote_identifier(NameStr(attribute->attname)),
						 isnull ? "NULL" : quote_literal_cstr(OidOutputFunctionCall(output, value)));
	}
	return text.data;
}
