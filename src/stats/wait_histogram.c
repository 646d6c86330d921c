/*-------------------------------------------------------------------------
 *
 * wait_histogram.c
 *	  How long waits were: counts in buckets, and quantiles of them.
 *
 * Pure: no clock, no shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "stats/wait_histogram.h"

#define BUCKETS_PER_OCTAVE 4

/* The bucket of a wait of at least WAIT_SHORTEST_US. */
int
wait_bucket(int64 wait_us)
{
	uint64		shortest = (uint64) wait_us / WAIT_SHORTEST_US;
	int			octave = pg_leftmost_one_pos64(shortest);
	int64		start_us = (int64) WAIT_SHORTEST_US << octave;
	int			part = (int) ((wait_us - start_us) * BUCKETS_PER_OCTAVE / start_us);

	return Min(octave * BUCKETS_PER_OCTAVE + part, WAIT_BUCKETS - 1);
}

/* Its upper bound, in milliseconds. */
double
wait_bucket_bound(int bucket)
{
	int			octave = bucket / BUCKETS_PER_OCTAVE;
	int			part = bucket % BUCKETS_PER_OCTAVE;

	return WAIT_SHORTEST_US / 1000.0 * (UINT64CONST(1) << octave) *
		(1 + (part + 1) / (double) BUCKETS_PER_OCTAVE);
}

/*
 * wait_quantile
 *		The wait that this part of all reads (0 to 1) didn't exceed, in
 *		milliseconds.
 *
 * "shorter" reads count as not having waited.  Within a bucket waits are taken
 * to be spread evenly.
 */
double
wait_quantile(const uint64 *buckets, uint64 shorter, double quantile)
{
	double		wanted;
	double		passed = shorter;
	double		total = shorter;

	for (int i = 0; i < WAIT_BUCKETS; i++)
		total += buckets[i];
	wanted = total * quantile;
	if (wanted <= passed)
		return 0;

	for (int i = 0; i < WAIT_BUCKETS; i++)
	{
		double		lower = i > 0 ? wait_bucket_bound(i - 1) : WAIT_SHORTEST_US / 1000.0;

		if (buckets[i] > 0 && wanted <= passed + buckets[i])
			return lower + (wait_bucket_bound(i) - lower) * (wanted - passed) / buckets[i];
		passed += buckets[i];
	}
	return wait_bucket_bound(WAIT_BUCKETS - 1);
}
