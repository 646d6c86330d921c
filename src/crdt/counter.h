/*-------------------------------------------------------------------------
 *
 * counter.h
 *	  The values of counters: sums of counts that may be larger than any integer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_COUNTER_H
#define CONSISTENCY_CRDT_COUNTER_H

#include "lib/stringinfo.h"
#include "utils/numeric.h"

/* high * 2^64 + low */
typedef struct CounterSum
{
	uint64		high;
	uint64		low;
} CounterSum;

/* The value is what was counted up minus what was counted down. */
typedef struct CounterValue
{
	CounterSum	up;
	CounterSum	down;
} CounterValue;

static inline void
counter_sum_add(CounterSum *sum, uint64 count)
{
	sum->low += count;
	sum->high += (sum->low < count);
}

/* Without its sign: of the least bigint, too. */
static inline uint64
counter_magnitude(int64 amount)
{
	return amount < 0 ? -(uint64) amount : (uint64) amount;
}

/* Was more counted down than up? */
static inline bool
counter_is_negative(const CounterValue *value)
{
	return value->up.high < value->down.high ||
		(value->up.high == value->down.high && value->up.low < value->down.low);
}

extern Numeric counter_numeric(const CounterValue *value);
extern int64 counter_int64(const CounterValue *value);
extern char *counter_text(const CounterValue *value);
extern void counter_to_json(StringInfo out, const CounterValue *value);
extern uint64 counter_amount(int64 amount);

#endif							/* CONSISTENCY_CRDT_COUNTER_H */
