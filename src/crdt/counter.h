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

extern Numeric counter_numeric(const CounterValue *value);
extern int64 counter_int64(const CounterValue *value);
extern void counter_to_json(StringInfo out, const CounterValue *value);
extern uint64 counter_amount(int64 amount);

#endif							/* CONSISTENCY_CRDT_COUNTER_H */
