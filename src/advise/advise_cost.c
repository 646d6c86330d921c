/*-------------------------------------------------------------------------
 *
 * advise_cost.c
 *	  What a level costs at this server, in words and its own figures.
 *
 * Two shares are told.
 *
 * Under session a read waits for what its session has written before, and only
 * the first such read waits: once that is replayed the others find it there.
 * So for writes to a table no more reads wait than there are writes, and each
 * at most as long as its replica is behind.  (A session that hands on its token
 * or goes from node to node can have more of them wait.)
 *
 * Under bounded a read waits where the replica is further behind than the
 * bound.  If reads are spread evenly over replicas, that is the share of
 * replicas that are.  And it asks the primary first where the bound is shorter
 * than the time since the last heartbeat; that is between 0 and the interval.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "advise/advise.h"
#include "advise/statement.h"

static int	round_up(int64 ms);

/* Milliseconds that the replica furthest behind is behind; 0 if there is none. */
int
advise_worst_lag(const AdviseFacts *facts)
{
	int			worst = 0;

	for (int i = 0; i < facts->nreplicas; i++)
		worst = Max(worst, facts->lag_ms[i]);
	return worst;
}

/* How many replicas are further behind than that? */
int
advise_behind(const AdviseFacts *facts, int ms)
{
	int			n = 0;

	for (int i = 0; i < facts->nreplicas; i++)
		n += facts->lag_ms[i] > ms;
	return n;
}

/*
 * advise_bound
 *		A bound that is at least so long, and twice as long as the lag and the
 *		heartbeat's interval: then most reads neither wait nor ask.
 */
int
advise_bound(const AdviseFacts *facts, int at_least_ms)
{
	int64		twice = INT64CONST(2) * Max(advise_worst_lag(facts), facts->monitor_interval_ms);

	return round_up(Max(twice, at_least_ms));
}

/* The next of 1, 2, 5, 10, 20, ... */
static int
round_up(int64 ms)
{
	static const int steps[] = {1, 2, 5};

	for (int64 decade = 1;; decade *= 10)
	{
		for (int i = 0; i < lengthof(steps); i++)
		{
			if (decade * steps[i] >= ms)
				return (int) Min(decade * steps[i], INT_MAX);
		}
	}
}

int64
advise_total_reads(const AdviseFacts *facts)
{
	int64		total = 0;
	ListCell   *cell;

	foreach(cell, facts->tables)
		total += ((AdviseTable *) lfirst(cell))->reads;
	return total;
}

/* At the primary. */
int64
advise_total_writes(const AdviseFacts *facts)
{
	int64		total = 0;
	ListCell   *cell;

	foreach(cell, facts->tables)
		total += Max(((AdviseTable *) lfirst(cell))->writes, 0);
	return total;
}

/* Part of a whole, in percent, at most all of it; palloc'd. */
char *
advise_share(double part, double whole)
{
	return psprintf("%.1f %%", whole > 0 ? Min(100.0, part * 100.0 / whole) : 0.0);
}

/* A count, and how many that is in a second; palloc'd. */
char *
advise_rate(const AdviseFacts *facts, int64 count)
{
	if (facts->seconds <= 0)
		return psprintf(INT64_FORMAT, count);
	return psprintf(INT64_FORMAT " (%.1f/s)", count, count / facts->seconds);
}

/*
 * Reads under session, or causal: who waits for a write to this table (or to
 * any), and how long; palloc'd.
 */
char *
advise_cost_of_session(const AdviseFacts *facts, const char *table, int64 reads, int64 writes)
{
	char	   *share;

	if (facts->in_recovery || writes < 0)
		return pstrdup("a replica doesn't know how many reads follow a write: the primary counts writes");

	share = psprintf("at most %s of reads wait at a replica for a write to %s (" INT64_FORMAT
					 " rows, " INT64_FORMAT " reads)",
					 advise_share(writes, reads), table, writes, reads);
	if (!facts->lag_is_shown)
		return psprintf("%s, each for the rest of its lag", share);
	if (facts->nreplicas == 0)
		return psprintf("%s; no replica is known to be up", share);
	if (advise_worst_lag(facts) == 0)
		return psprintf("%s, and none now, as no replica is behind", share);
	return psprintf("%s, each for up to %s, by which the last of %d is behind now",
					share, statement_ms(advise_worst_lag(facts)), facts->nreplicas);
}

/* Reads under a bound in time: who waits, and how long; palloc'd. */
char *
advise_cost_of_bound(const AdviseFacts *facts, int ms)
{
	int			behind = advise_behind(facts, ms);

	if (!facts->lag_is_shown)
		return psprintf("reads wait at replicas that are more than %s behind", statement_ms(ms));
	if (facts->nreplicas == 0)
		return pstrdup("nothing now: no replica is known to be up");
	if (behind == 0)
		return psprintf("nothing now: none of %d replicas is more than %s behind",
						facts->nreplicas, statement_ms(ms));
	return psprintf("%s of reads at replicas wait, for up to %s: %d of %d are more than %s behind now",
					advise_share(behind, facts->nreplicas),
					statement_ms(advise_worst_lag(facts) - ms),
					behind, facts->nreplicas, statement_ms(ms));
}

/* Reads under a bound below the heartbeat's interval; palloc'd. */
char *
advise_cost_of_asking(const AdviseFacts *facts, int ms)
{
	return psprintf("%s of reads at a replica make a round trip to the primary first, as the last heartbeat (every %s) is older than %s",
					advise_share(facts->monitor_interval_ms - ms, facts->monitor_interval_ms),
					statement_ms(facts->monitor_interval_ms), statement_ms(ms));
}

/* What pg_stat_statements tells of reads; palloc'd. */
char *
advise_cost_of_calls(const AdviseFacts *facts, const AdviseCalls *calls)
{
	if (!facts->has_statements)
		return pstrdup("how many statements, pg_stat_statements would tell");
	if (calls->reads == 0)
		return pstrdup("pg_stat_statements has none of them");
	return psprintf(INT64_FORMAT " statements of %.3f ms, says pg_stat_statements",
					calls->reads, calls->read_ms / calls->reads);
}
