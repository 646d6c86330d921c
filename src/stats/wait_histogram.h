/*-------------------------------------------------------------------------
 *
 * wait_histogram.h
 *	  How long waits were: counts in buckets, and quantiles of them.
 *
 * Each octave from 1 ms has four buckets of equal width (1, 1.25, 1.5, 1.75, 2,
 * 2.5, ... ms), so that a quantile is off by an eighth at most, as in Gil Tene's
 * HdrHistogram.  What is shorter isn't counted; what is longer than the last
 * bound is in the last bucket.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WAIT_HISTOGRAM_H
#define CONSISTENCY_WAIT_HISTOGRAM_H

/* the shortest wait that counts as one, microseconds: the shortest nap is longer */
#define WAIT_SHORTEST_US 1000

/* 18 octaves: up to 4 minutes */
#define WAIT_BUCKETS (18 * 4)

extern int	wait_bucket(int64 wait_us);
extern double wait_bucket_bound(int bucket);
extern double wait_quantile(const uint64 *buckets, uint64 shorter, double quantile);

#endif							/* CONSISTENCY_WAIT_HISTOGRAM_H */
