/*-------------------------------------------------------------------------
 *
 * recommend.c
 *	  Which level a use of the data calls for, and why.
 *
 * The questions are asked in the order of what is worst to get wrong: a
 * decision that can't be taken back, then the order in which people see what
 * others do, then age, then what a single user notices.  The first that is
 * answered with yes decides; what the others add is told among the reasons.
 *
 * docs/choosing.md shows this as a table; sql/recommend.sql tries each branch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advise/recommend.h"

static void decide(const Situation *situation, Recommendation *recommendation);
static void decide_critical(const Situation *situation, Recommendation *recommendation);
static void decide_collaboration(const Situation *situation, Recommendation *recommendation);
static void decide_age(const Situation *situation, Recommendation *recommendation);
static void decide_session(const Situation *situation, Recommendation *recommendation);
static void decide_any_state(const Situation *situation, Recommendation *recommendation);
static void tell_scale(const Situation *situation, Recommendation *recommendation);
static void choose(Recommendation *recommendation, ConsistencyLevel level, PolicyKind kind,
				   const char *reason);
static void also(Recommendation *recommendation, const char *reason);

/* The decision. */
Recommendation
recommend_level(const Situation *situation)
{
	Recommendation recommendation = {.max_staleness_ms = -1};

	decide(situation, &recommendation);
	tell_scale(situation, &recommendation);
	return recommendation;
}

static void
decide(const Situation *situation, Recommendation *recommendation)
{
	if (situation->critical)
		decide_critical(situation, recommendation);
	else if (situation->collaboration != COLLABORATION_NONE)
		decide_collaboration(situation, recommendation);
	else if (situation->max_age_ms >= 0 || situation->stale_read == STALE_COSTLY)
		decide_age(situation, recommendation);
	else if (situation->own_writes || situation->backwards)
		decide_session(situation, recommendation);
	else
		decide_any_state(situation, recommendation);
}

/* What is decided from such a read can't be taken back. */
static void
decide_critical(const Situation *situation, Recommendation *recommendation)
{
	if (!situation->exceeds_primary)
	{
		choose(recommendation, LEVEL_LINEARIZABLE, POLICY_MINIMUM,
			   "money or safety is at stake: a read must show every commit acknowledged before it began");
		also(recommendation,
			 "the promise survives a failover only with synchronous_standby_names; consistency.require_leader_fence makes its absence an error");
		return;
	}

	choose(recommendation, LEVEL_BOUNDED, POLICY_MINIMUM,
		   "money or safety is at stake, and one primary can't serve these reads: replicas serve them, each after asking the primary how far it is");
	recommendation->max_staleness_ms = 0;
	recommendation->keeps_session = true;
	also(recommendation,
		 "this level doesn't notice a primary that was replaced: declare linearizable by a hint for those reads that something irrevocable follows from");
}

/* Several people see what the others do. */
static void
decide_collaboration(const Situation *situation, Recommendation *recommendation)
{
	if (situation->collaboration == COLLABORATION_TOTAL)
		choose(recommendation, LEVEL_SEQUENTIAL, POLICY_MINIMUM,
			   "all see everything in one order, also those who read at the primary beside those at replicas");
	else
		choose(recommendation, LEVEL_CAUSAL, POLICY_MINIMUM,
			   "nobody sees an answer before its question");
	also(recommendation,
		 "sessions hand on consistency.token with what they tell each other; without it the order between them isn't known");
	if (situation->max_age_ms >= 0 || situation->stale_read == STALE_COSTLY)
		also(recommendation,
			 "this level doesn't bound the age: demands add up, so let another party (the table, or the session) ask for bounded beside it");
}

/* How old data may be counts. */
static void
decide_age(const Situation *situation, Recommendation *recommendation)
{
	bool		keeps_session = situation->own_writes || situation->backwards;
	bool		is_floor = keeps_session || situation->stale_read == STALE_COSTLY;

	choose(recommendation, LEVEL_BOUNDED, is_floor ? POLICY_MINIMUM : POLICY_DEFAULT,
		   situation->max_age_ms >= 0 ? "data may be so old and no older" :
		   "a stale read is costly, and no age was named: nothing that was committed before the read may be missing");
	recommendation->max_staleness_ms = Max(situation->max_age_ms, 0);
	recommendation->keeps_session = keeps_session;
	if (keeps_session)
		also(recommendation,
			 "users notice a missing write of their own, or going backwards: bounded alone doesn't promise that, so session is kept beside it");
}

/* What a single user notices. */
static void
decide_session(const Situation *situation, Recommendation *recommendation)
{
	choose(recommendation, LEVEL_SESSION, POLICY_MINIMUM,
		   situation->own_writes ? "users notice when a write of their own is missing" :
		   "users notice when an older state returns");
	if (situation->own_writes && situation->backwards)
		also(recommendation, "users notice when an older state returns");
}

/* Any state that was once true will do. */
static void
decide_any_state(const Situation *situation, Recommendation *recommendation)
{
	bool		any_node = situation->stale_read == STALE_HARMLESS &&
	(situation->exceeds_primary || situation->distant);

	if (any_node)
		choose(recommendation, LEVEL_WEAK, POLICY_DEFAULT,
			   "staleness is harmless, and an answer from any node counts more than one from a node known to be well");
	else
		choose(recommendation, LEVEL_EVENTUAL, POLICY_DEFAULT,
			   "any state that the primary had will do, from a node that is known to be well");
}

/* What load and distance mean for the level that was chosen. */
static void
tell_scale(const Situation *situation, Recommendation *recommendation)
{
	bool		at_primary = recommendation->level == LEVEL_LINEARIZABLE;

	if (situation->exceeds_primary && recommendation->level != LEVEL_BOUNDED)
		also(recommendation, "more reads than one primary serves: replicas can serve this level");
	if (situation->exceeds_primary && recommendation->level == LEVEL_BOUNDED)
		also(recommendation, "more reads than one primary serves: replicas run them, the primary tells positions only");
	if (situation->distant && at_primary)
		also(recommendation, "readers are far from the primary: each read pays the way there");
	if (situation->distant && !at_primary)
		also(recommendation, "readers are far from the primary: connect them to a replica nearby");
}

static void
choose(Recommendation *recommendation, ConsistencyLevel level, PolicyKind kind,
	   const char *reason)
{
	recommendation->level = level;
	recommendation->kind = kind;
	also(recommendation, reason);
}

static void
also(Recommendation *recommendation, const char *reason)
{
	recommendation->reasons = lappend(recommendation->reasons, pstrdup(reason));
}

/*
 * recommend_cost
 *		What a level costs, in words, and where docs/benchmarks.md has it
 *		measured.  The figures stay there, as they are another machine's.
 */
const char *
recommend_cost(ConsistencyLevel level)
{
	switch (level)
	{
		case LEVEL_LINEARIZABLE:
			return "every read runs at the primary, after a round trip to its synchronous standbys that concurrent reads share: benchmark fence, \"linearizable : session\"";
		case LEVEL_SEQUENTIAL:
		case LEVEL_CAUSAL:
			return "at the primary the barrier: benchmark barrier, \"behind the barrier : not\"; at a replica as session: overhead_replica, and for the first read after a write forwarded_reads, \"the first read after a write : replica without\"";
		case LEVEL_BOUNDED:
			return "at a replica the lag beyond the bound, and with a bound shorter than consistency.monitor_interval a round trip to the primary: no benchmark of its own; consistency.advise() tells it for this server";
		case LEVEL_SESSION:
			return "at a replica a comparison: benchmark overhead_replica, \"session with a token : replica without\"; for the first read after a write the rest of the lag: forwarded_reads, \"the first read after a write : replica without\"";
		case LEVEL_EVENTUAL:
		case LEVEL_WEAK:
			return "nothing is waited for: benchmark overhead_idle, \"preloaded, no nodes : plain\", is all that is left";
		case LEVEL_UNSET:
			break;
	}
	elog(ERROR, "unrecognized consistency level: %d", (int) level);
}
