/*-------------------------------------------------------------------------
 *
 * wire.c
 *	  The bytes of CRDT states: what is too long for a header.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "crdt/wire.h"

static CrdtVarint decode_bytewise(const uint8 *at, const uint8 *end);

/* A state is damaged, or what was sent as one isn't any. */
void
crdt_corrupted(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid state of a CRDT"),
			 errdetail("What is wrong with it: %s.", what)));
}

/* Make room for so many bytes more, and some to spare. */
void
crdt_enlarge(CrdtBuffer *buffer, Size more)
{
	Size		needed = buffer->used + more;

	if (needed < more || needed > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("state of a CRDT would take more than %zu bytes", MaxAllocSize)));
	buffer->size = Min(Max(needed, buffer->size * 2), MaxAllocSize);
	buffer->data = repalloc(buffer->data, buffer->size);
}

/* A copy that lasts as long as the context. */
CrdtReader
crdt_copy_bytes(MemoryContext context, const CrdtReader *bytes)
{
	Size		size = crdt_left(bytes);
	uint8	   *copy = MemoryContextAlloc(context, Max(size, 1));
	CrdtReader	copied = {copy, copy + size};

	memcpy(copy, bytes->at, size);
	return copied;
}

/* A varint of any length; at most 64 bits, or the state is damaged. */
CrdtVarint
crdt_decode_varint(const uint8 *at, const uint8 *end)
{
	CrdtReader	reader = {at, end};
	CrdtVarint	result;
	uint64		word;
	int			size;

	if (!crdt_peek_varint(&reader, &word, &size))
		return decode_bytewise(at, end);

	/*
	 * squeeze out the high bits: of pairs of bytes, of pairs of pairs, and so
	 * on
	 */
	word &= UINT64CONST(0x7f7f7f7f7f7f7f7f);
	word = (word & UINT64CONST(0x007f007f007f007f)) | (word & UINT64CONST(0x7f007f007f007f00)) >> 1;
	word = (word & UINT64CONST(0x00003fff00003fff)) | (word & UINT64CONST(0x3fff00003fff0000)) >> 2;
	result.value = (word & UINT64CONST(0x0fffffff)) | (word & UINT64CONST(0x0fffffff00000000)) >> 4;
	result.next = at + size;
	return result;
}

/* The same near the end, or where it is longer. */
static CrdtVarint
decode_bytewise(const uint8 *at, const uint8 *end)
{
	CrdtVarint	result = {0};

	for (int shift = 0; at < end; shift += 7)
	{
		uint8		byte = *at++;

		if (shift == 63 && byte > 1)
			crdt_corrupted("a number is too large");
		result.value |= (uint64) (byte & 0x7f) << shift;
		result.next = at;
		if (byte < 0x80)
			return result;
	}
	crdt_corrupted("it ends too early");
}

/* The same for checks: it must be written in as few bytes as possible. */
uint64
crdt_read_minimal_varint(CrdtReader *reader)
{
	const uint8 *start = reader->at;
	uint64		value = crdt_read_varint(reader);

	if (reader->at - start > 1 && reader->at[-1] == 0)
		crdt_corrupted("a number isn't in its shortest form");
	return value;
}

/* A count that an operation makes larger; an error if it would be too large. */
uint64
crdt_count_sum(uint64 count, uint64 by)
{
	if (by > CRDT_MAX_COUNT || count > CRDT_MAX_COUNT - by)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("what one replica has counted would be out of range"),
				 errdetail("The count of one replica is at most " INT64_FORMAT ".", PG_INT64_MAX)));
	return count + by;
}
