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
uint64
crdt_read_long_varint(CrdtReader *reader)
{
	uint64		value = 0;
	int			shift;

	for (shift = 0; reader->at < reader->end; shift += 7)
	{
		uint8		byte = *reader->at++;

		if (shift == 63 && byte > 1)
			crdt_corrupted("a number is too large");
		value |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
		if (shift == 63)
			break;
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
