/*-------------------------------------------------------------------------
 *
 * read_stats.h
 *	  What reads were promised, where they were answered, and what that took.
 *
 * A read is a statement of a client that reads data: a SELECT, also as COPY
 * (query) TO, EXPLAIN ANALYZE or through a cursor, and COPY table TO; and each such
 * statement of a DO block or a procedure.  What is about the server itself doesn't
 * count, nor does what a function runs.
 *
 * A read that fails isn't counted, with one exception: one that was refused since
 * its promise couldn't be kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_READ_STATS_H
#define CONSISTENCY_READ_STATS_H

#include "stats/last_read.h"
#include "stats/wait_histogram.h"

#define READ_STATS_LEVELS (LEVEL_LINEARIZABLE + 1)

/* Totals of one kind of reads, for people */
typedef struct ReadTotals
{
	uint64		reads;
	uint64		rows;
	uint64		time_us;		/* running, waits among it; not while the
								 * client fetches nothing */
	uint64		wait_us;
	uint64		waits;			/* of at least WAIT_SHORTEST_US */
	uint64		timeouts;
	uint64		retries;
	uint64		fallbacks[NUM_READ_FALLBACKS];
	uint64		wait_buckets[WAIT_BUCKETS];
} ReadTotals;

extern bool guc_track_reads;	/* consistency.track_reads */
extern int	guc_log_min_wait;	/* consistency.log_min_wait, ms; -1: never */

extern void read_stats_init(void);

/*
 * "shape": it asks for no rows (LIMIT 0), as a router does ahead of the read itself
 * to learn its columns.  What follows in the same message is the same read.
 *
 * "query" is the execution, by the address of its QueryDesc.
 */
extern void read_stats_begin(const void *query, const Declaration *declaration, bool shape);
extern void read_stats_run(const void *query, uint64 rows);
extern void read_stats_end(const void *query);
extern void read_stats_utility(const Declaration *declaration);
extern void read_stats_refused(const Declaration *declaration);
extern void read_stats_reset(void);

extern int	read_stats_databases(void);
extern Oid	read_stats_database(int place);
extern void read_stats_totals(int place, ConsistencyLevel level, ReadPlace where, ReadTotals *totals);

#endif							/* CONSISTENCY_READ_STATS_H */
