/*-------------------------------------------------------------------------
 *
 * row_digest.c
 *	  What a row holds, in a few bytes.
 *
 * The digest of a value is a hash of its bytes, uncompressed and brought back
 * from where long values are kept.  So it asks nothing of the type, and no
 * setting has a say.  Bytes can differ where values are equal; not between a
 * primary and its replicas, whose tables are the same bytes.
 *
 * 64 bits are enough against accidents: of 10^9 rows that differ one is missed
 * with a probability of 10^-10.  They are none against somebody who wants to
 * forge a row.
 *
 * A damaged row must not take the server down with it.  So each value is checked
 * to lie inside its row before the next one is looked for behind it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "storage/bufmgr.h"

#include "verify/row_digest.h"

/* what a column holds that is null, or was dropped */
#define NULL_DIGEST UINT64CONST(0x9E3779B97F4A7C15)

static uint64 value_digest(Datum value, Form_pg_attribute attribute);
static void check_row(TupleTableSlot *slot);
static void check_value(TupleTableSlot *slot, Datum value, Form_pg_attribute attribute);
static void error_damaged(TupleTableSlot *slot) pg_attribute_noreturn();

/*
 * row_digest
 *		The digest of the row in a slot of a heap, and of where it is.
 *
 * Those of its columns go to "columns", if that isn't NULL; 0 stands for dropped
 * ones.  What it allocates is in the current memory context.
 */
uint64
row_digest(TupleTableSlot *slot, uint64 *columns)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	uint64		digest = ItemPointerGetBlockNumber(&slot->tts_tid) *
	UINT64CONST(65536) + ItemPointerGetOffsetNumber(&slot->tts_tid);

	check_row(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		uint64		column = 0;
		bool		isnull;
		Datum		value = slot_getattr(slot, i + 1, &isnull);

		/* A dropped one is in the way of those behind it all the same. */
		if (!isnull && !attribute->attbyval)
			check_value(slot, value, attribute);
		if (!attribute->attisdropped)
		{
			column = isnull ? NULL_DIGEST : value_digest(value, attribute);
			digest = hash_combine64(digest, column);
		}
		if (columns)
			columns[i] = column;
	}
	/* Sums of these are compared: equal bits must not stay in their place. */
	return hash_bytes_extended((const unsigned char *) &digest, sizeof(digest), 0);
}

static uint64
value_digest(Datum value, Form_pg_attribute attribute)
{
	const char *bytes = DatumGetPointer(value);
	int			length = attribute->attlen;

	if (attribute->attbyval)
		return hash_bytes_extended((const unsigned char *) &value, sizeof(value), 0);
	if (length == -1)
	{
		struct varlena *whole = PG_DETOAST_DATUM_PACKED(value);
		uint64		digest = hash_bytes_extended((const unsigned char *) VARDATA_ANY(whole),
												 VARSIZE_ANY_EXHDR(whole), 0);

		if ((char *) whole != bytes)
			pfree(whole);
		return digest;
	}
	if (length == -2)
		length = strlen(bytes);
	return hash_bytes_extended((const unsigned char *) bytes, length, 0);
}

/* Is the row inside its page, and its data inside the row? */
static void
check_row(TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *buffered = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	tuple = buffered->base.tuple;
	char	   *page;

	Assert(TTS_IS_BUFFERTUPLE(slot) && tuple != NULL);
	page = BufferGetPage(buffered->buffer);
	if ((char *) tuple->t_data < page ||
		(char *) tuple->t_data + tuple->t_len > page + BLCKSZ ||
		tuple->t_len < SizeofHeapTupleHeader ||
		tuple->t_data->t_hoff < SizeofHeapTupleHeader ||
		tuple->t_data->t_hoff > tuple->t_len)
		error_damaged(slot);
}

/* Does a value that is kept by reference end inside the row? */
static void
check_value(TupleTableSlot *slot, Datum value, Form_pg_attribute attribute)
{
	HeapTuple	tuple = ((BufferHeapTupleTableSlot *) slot)->base.tuple;
	char	   *end = (char *) tuple->t_data + tuple->t_len;
	char	   *bytes = DatumGetPointer(value);
	Size		length;

	/* A default for a column that was added later isn't in the row. */
	if (attribute->attnum > HeapTupleHeaderGetNatts(tuple->t_data))
		return;
	if (bytes >= end)
	{
		/* nothing but a value of no length may be there */
		if (attribute->attlen == 0 && bytes == end)
			return;
		error_damaged(slot);
	}
	if (attribute->attlen == -1)
	{
		/* The length of the header depends on its first byte. */
		if (!VARATT_IS_1B(bytes) && end - bytes < VARHDRSZ)
			error_damaged(slot);
		if (VARATT_IS_1B_E(bytes) &&
			(end - bytes < VARHDRSZ_EXTERNAL || !VARATT_IS_EXTERNAL_ONDISK(bytes)))
			error_damaged(slot);
		length = VARSIZE_ANY(bytes);
		if (!VARATT_IS_1B(bytes) && length < VARHDRSZ)
			error_damaged(slot);
	}
	else if (attribute->attlen == -2)
		length = strnlen(bytes, end - bytes) + 1;
	else
		length = attribute->attlen;
	if (length > end - bytes)
		error_damaged(slot);
}

static void
error_damaged(TupleTableSlot *slot)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("row (%u,%u) is damaged",
					ItemPointerGetBlockNumber(&slot->tts_tid),
					ItemPointerGetOffsetNumber(&slot->tts_tid))));
}
