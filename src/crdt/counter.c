/*-------------------------------------------------------------------------
 *
 * counter.c
 *	  The values of counters: sums of counts that may be larger than any integer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"

#include "crdt/counter.h"

static bool fits_int64(const CounterValue *value, int64 *result);
static Numeric sum_numeric(const CounterSum *sum);

/* Is the value a bigint?  Sums that aren't, of which the difference is, don't count. */
static bool
fits_int64(const CounterValue *value, int64 *result)
{
	return value->up.high == 0 && value->up.low <= (uint64) PG_INT64_MAX &&
		value->down.high == 0 && value->down.low <= (uint64) PG_INT64_MAX &&
		!pg_sub_s64_overflow((int64) value->up.low, (int64) value->down.low, result);
}

static Numeric
sum_numeric(const CounterSum *sum)
{
	Datum		two_to_32 = NumericGetDatum(int64_to_numeric((int64) 1 << 32));
	const uint32 digits[] = {sum->high >> 32, (uint32) sum->high, sum->low >> 32, (uint32) sum->low};
	Datum		result = NumericGetDatum(int64_to_numeric(0));

	for (int i = 0; i < lengthof(digits); i++)
	{
		result = DirectFunctionCall2(numeric_mul, result, two_to_32);
		result = DirectFunctionCall2(numeric_add, result, NumericGetDatum(int64_to_numeric(digits[i])));
	}
	return DatumGetNumeric(result);
}

Numeric
counter_numeric(const CounterValue *value)
{
	int64		result;

	if (fits_int64(value, &result))
		return int64_to_numeric(result);
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub,
											   NumericGetDatum(sum_numeric(&value->up)),
											   NumericGetDatum(sum_numeric(&value->down))));
}

/* The value; an error if it is no bigint. */
int64
counter_int64(const CounterValue *value)
{
	int64		result;

	if (fits_int64(value, &result))
		return result;
	/* it knows, and has the message */
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(counter_numeric(value))));
}

/* The value in decimal digits. */
char *
counter_text(const CounterValue *value)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(counter_numeric(value))));
}

/* Append the value. */
void
counter_to_json(StringInfo out, const CounterValue *value)
{
	appendStringInfoString(out, counter_text(value));
}

/* How much is to be counted up or down: an error if that is less than nothing. */
uint64
counter_amount(int64 amount)
{
	if (amount < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must not be negative"),
				 errhint("A pncounter can be counted down.")));
	return (uint64) amount;
}
