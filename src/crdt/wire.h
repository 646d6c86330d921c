/*-------------------------------------------------------------------------
 *
 * wire.h
 *	  The bytes of CRDT states: reading and writing.
 *
 * Numbers are unsigned LEB128 ("varints": seven bits a byte, the lowest first,
 * the high bit says that more follow), always in as few bytes as possible.
 * Replica ids are eight bytes, the highest first, so that the order of bytes is
 * the order of ids.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WIRE_H
#define CONSISTENCY_WIRE_H

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"

/* bytes of a replica id, and the most that a varint takes */
#define CRDT_ID_SIZE 8
#define CRDT_VARINT_SIZE 10

/* the largest count of one replica, so that counts fit bigint */
#define CRDT_MAX_COUNT ((uint64) PG_INT64_MAX)

/* What remains to be read: at <= end. */
typedef struct CrdtReader
{
	const uint8 *at;
	const uint8 *end;
} CrdtReader;

/*
 * A varint and what follows it.  Handed over by value, as are readers where it
 * counts: then they can live in registers.
 */
typedef struct CrdtVarint
{
	uint64		value;
	const uint8 *next;
} CrdtVarint;

/* A state that is being made, in the memory context where it was started. */
typedef struct CrdtBuffer
{
	uint8	   *data;
	Size		used;
	Size		size;			/* allocated */
} CrdtBuffer;

extern void crdt_corrupted(const char *what) pg_attribute_noreturn();
extern CrdtReader crdt_copy_bytes(MemoryContext context, const CrdtReader *bytes);
extern void crdt_enlarge(CrdtBuffer *buffer, Size more);
extern CrdtVarint crdt_decode_varint(const uint8 *at, const uint8 *end);
extern uint64 crdt_read_minimal_varint(CrdtReader *reader);
extern uint64 crdt_count_sum(uint64 count, uint64 by);

static inline Size
crdt_left(const CrdtReader *reader)
{
	return reader->end - reader->at;
}

static inline bool
crdt_at_end(const CrdtReader *reader)
{
	return reader->at >= reader->end;
}

static inline uint64
crdt_read_varint(CrdtReader *reader)
{
	CrdtVarint	varint;

	if (likely(reader->at < reader->end && *reader->at < 0x80))
		return *reader->at++;
	varint = crdt_decode_varint(reader->at, reader->end);
	reader->at = varint.next;
	return varint.value;
}

/* Go past a varint, whatever it is. */
static inline void
crdt_skip_varint(CrdtReader *reader)
{
	do
	{
		if (unlikely(reader->at >= reader->end))
			crdt_corrupted("it ends too early");
	} while (*reader->at++ >= 0x80);
}

/* From the order of bytes in memory that x86 and most others have, or to it. */
static inline uint64
crdt_little_endian(uint64 word)
{
#ifdef WORDS_BIGENDIAN
	return pg_bswap64(word);
#else
	return word;
#endif
}

/*
 * The bytes of the next varint as a word, the lowest first, and how many they
 * are.  False if they can't be had this way, as there are too many, or nothing
 * behind them to be read in vain.
 */
static pg_attribute_always_inline bool
crdt_peek_varint(const CrdtReader *reader, uint64 *word, int *size)
{
	uint64		ends;

	if (unlikely(crdt_left(reader) < sizeof(*word)))
		return false;
	memcpy(word, reader->at, sizeof(*word));
	*word = crdt_little_endian(*word);
	/* the first byte without its high bit is the last one */
	ends = ~*word & UINT64CONST(0x8080808080808080);
	if (unlikely(ends == 0))
		return false;
	*word &= ends ^ (ends - 1);
	*size = pg_rightmost_one_pos64(ends) / BITS_PER_BYTE + 1;
	return true;
}

static inline uint64
crdt_read_id(CrdtReader *reader)
{
	uint64		id;

	if (unlikely(crdt_left(reader) < CRDT_ID_SIZE))
		crdt_corrupted("it ends too early");
	memcpy(&id, reader->at, CRDT_ID_SIZE);
	reader->at += CRDT_ID_SIZE;
	return pg_ntoh64(id);
}

/* The next size bytes, as a reader of their own. */
static inline CrdtReader
crdt_read_bytes(CrdtReader *reader, uint64 size)
{
	CrdtReader	bytes;

	if (unlikely(crdt_left(reader) < size))
		crdt_corrupted("it ends too early");
	bytes.at = reader->at;
	bytes.end = reader->at += size;
	return bytes;
}

/* Make room for so many bytes more, for crdt_put_... to go without looking. */
static inline void
crdt_reserve(CrdtBuffer *buffer, Size more)
{
	if (unlikely(buffer->size - buffer->used < more))
		crdt_enlarge(buffer, more);
}

static inline void
crdt_put_varint(CrdtBuffer *buffer, uint64 value)
{
	while (value >= 0x80)
	{
		buffer->data[buffer->used++] = (uint8) (value | 0x80);
		value >>= 7;
	}
	buffer->data[buffer->used++] = (uint8) value;
}

static inline void
crdt_put_id(CrdtBuffer *buffer, uint64 id)
{
	id = pg_hton64(id);
	memcpy(buffer->data + buffer->used, &id, CRDT_ID_SIZE);
	buffer->used += CRDT_ID_SIZE;
}

static inline void
crdt_put_bytes(CrdtBuffer *buffer, const void *bytes, Size size)
{
	if (size > 0)
		memcpy(buffer->data + buffer->used, bytes, size);
	buffer->used += size;
}

/* bytes of room that crdt_put_larger() may need beyond what it puts */
#define CRDT_LARGER_SPARE 8

/*
 * Put the larger one of the next number of a and the next number of b.
 *
 * In their shortest form, taken as words with the lowest byte first, longer
 * numbers are larger words, and words of the same length compare as the numbers
 * do.  So nothing needs to be decoded.  Inline always, as what it is told the
 * addresses of should stay in registers.
 */
static pg_attribute_always_inline void
crdt_put_larger(CrdtBuffer *buffer, CrdtReader *a, CrdtReader *b)
{
	uint64		word_a,
				word_b;
	int			size_a,
				size_b;

	if (likely(crdt_peek_varint(a, &word_a, &size_a) && crdt_peek_varint(b, &word_b, &size_b)))
	{
		uint64		larger = crdt_little_endian(Max(word_a, word_b));

		memcpy(buffer->data + buffer->used, &larger, sizeof(larger));
		buffer->used += word_a > word_b ? size_a : size_b;
		a->at += size_a;
		b->at += size_b;
	}
	else
	{
		uint64		value_a = crdt_read_varint(a);
		uint64		value_b = crdt_read_varint(b);

		crdt_put_varint(buffer, Max(value_a, value_b));
	}
}

/* The same with making room. */
static inline void
crdt_append_varint(CrdtBuffer *buffer, uint64 value)
{
	crdt_reserve(buffer, CRDT_VARINT_SIZE);
	crdt_put_varint(buffer, value);
}

static inline void
crdt_append_bytes(CrdtBuffer *buffer, const void *bytes, Size size)
{
	crdt_reserve(buffer, size);
	crdt_put_bytes(buffer, bytes, size);
}

static inline void
crdt_append_rest(CrdtBuffer *buffer, const CrdtReader *reader)
{
	crdt_append_bytes(buffer, reader->at, crdt_left(reader));
}

/* memcmp order, a prefix before what it is a prefix of */
static inline int
crdt_compare_bytes(const CrdtReader *a, const CrdtReader *b)
{
	Size		size_a = crdt_left(a);
	Size		size_b = crdt_left(b);
	int			result = 0;

	/* most differ early, and then this is quicker than a call */
	if (size_a >= sizeof(uint64) && size_b >= sizeof(uint64))
	{
		uint64		begin_a,
					begin_b;

		memcpy(&begin_a, a->at, sizeof(uint64));
		memcpy(&begin_b, b->at, sizeof(uint64));
		if (begin_a != begin_b)
			return pg_ntoh64(begin_a) < pg_ntoh64(begin_b) ? -1 : 1;
	}
	/* one without bytes may have no address */
	if (size_a > 0 && size_b > 0)
		result = memcmp(a->at, b->at, Min(size_a, size_b));
	return result != 0 ? result : (size_a > size_b) - (size_a < size_b);
}

#endif							/* CONSISTENCY_WIRE_H */
