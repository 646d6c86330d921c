/*-------------------------------------------------------------------------
 *
 * advise_table.c
 *	  Which level a table's reads and writes speak for.  Pure.
 *
 * Each rule looks at one thing that can be seen in figures.  None can know
 * what an old answer would do to anybody: so none lowers a minimum that an
 * owner has set but one that sends every read to the primary, and what a rule
 * advises comes with what is given up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "advise/advise.h"
#include "advise/statement.h"
#include "session/quorum.h"

/* Reads for one write, from which on a table is read often. */
#define READ_OFTEN 10
#define READ_MOSTLY 100

/* Lag in milliseconds that somebody notices. */
#define LAG_THAT_MATTERS_MS 1000

/* What readers of something that hardly changes may miss, at least. */
#define READ_MOSTLY_BOUND_MS 60000

static void judge(AdviseFacts *facts, const AdviseTable *table);
static void judge_linearizable(AdviseFacts *facts, const AdviseTable *table);
static void judge_bound(AdviseFacts *facts, const AdviseTable *table);
static void judge_bytes(AdviseFacts *facts, const AdviseTable *table);
static bool judge_reference(AdviseFacts *facts, const AdviseTable *table);
static void judge_weaker(AdviseFacts *facts, const AdviseTable *table);
static char *missed_rows(const AdviseFacts *facts, const AdviseTable *table);
static void judge_waits(AdviseFacts *facts, const AdviseTable *table);
static void judge_read_mostly(AdviseFacts *facts, const AdviseTable *table);
static Policy policy_to(const AdviseTable *table, const Policy *now, PolicyKind kind,
						ConsistencyLevel level, int max_staleness_ms);
static void advise(AdviseFacts *facts, const AdviseTable *table, const char *finding,
				   const Policy *policy, const char *cost, const char *reason);

/* Judge each table. */
void
advise_tables(AdviseFacts *facts)
{
	ListCell   *cell;

	foreach(cell, facts->tables)
		judge(facts, lfirst(cell));
}

static void
judge(AdviseFacts *facts, const AdviseTable *table)
{
	/* what two tables are to each other doesn't depend on counts */
	bool		told = judge_reference(facts, table);

	if (table->reads < ADVISE_MIN_READS)
		return;
	judge_linearizable(facts, table);
	judge_bound(facts, table);
	judge_bytes(facts, table);
	if (!told)
		judge_weaker(facts, table);
	judge_waits(facts, table);
	judge_read_mostly(facts, table);
}

/* All reads run at the primary, and there are many for each write. */
static void
judge_linearizable(AdviseFacts *facts, const AdviseTable *table)
{
	Policy		policy = policy_to(table, &table->level_policy, POLICY_MINIMUM, LEVEL_CAUSAL, -1);

	if (table->level != LEVEL_LINEARIZABLE || table->npolicies == 0 ||
		table->reads < READ_OFTEN * Max(table->writes, 0))
		return;
	advise(facts, table, "linearizable, and read often", &policy,
		   psprintf("now all reads run at the primary, each behind a fence: %s; %s. Under causal: %s",
					advise_rate(facts, table->reads), advise_cost_of_calls(facts, &table->calls),
					advise_cost_of_session(facts, "this table", table->reads, table->writes)),
		   "Most of these reads follow no write. Keep linearizable for those that something irrevocable follows from, by a hint or SET LOCAL.");
}

/* A bound in time that makes reads wait, or ask. */
static void
judge_bound(AdviseFacts *facts, const AdviseTable *table)
{
	int			bound = table->max_staleness_ms;
	int			longer = advise_bound(facts, Max(bound, 0));
	Policy		policy = policy_to(table, &table->bound_policy, POLICY_MINIMUM, LEVEL_BOUNDED, longer);

	if (bound < 0 || !OidIsValid(table->bound_policy.relation))
		return;
	if (bound < facts->monitor_interval_ms)
		advise(facts, table, "bound shorter than a heartbeat's interval", &policy,
			   advise_cost_of_asking(facts, bound),
			   "A lower consistency.monitor_interval on all nodes serves a bound that must stay.");
	if (advise_behind(facts, bound) > 0)
		advise(facts, table, "bound below the lag", &policy,
			   psprintf("now: %s. With %s: %s", advise_cost_of_bound(facts, bound),
						statement_ms(longer), advise_cost_of_bound(facts, longer)),
			   "If the bound must stay, it is the replicas that need mending: see consistency.nodes and consistency.check().");
}

/* A bound in bytes needs the primary's answer each time. */
static void
judge_bytes(AdviseFacts *facts, const AdviseTable *table)
{
	int			bound = advise_bound(facts, Max(table->max_staleness_ms, 0));
	Policy		policy = policy_to(table, &table->bound_policy, POLICY_MINIMUM, LEVEL_BOUNDED, bound);

	if (table->max_lag < 0 || !OidIsValid(table->bound_policy.relation))
		return;
	advise(facts, table, "bound in bytes", &policy,
		   psprintf("now each read at a replica makes a round trip to the primary first: %s. With %s: %s",
					advise_rate(facts, table->reads), statement_ms(bound),
					advise_cost_of_bound(facts, bound)),
		   "A bound in time of some heartbeats is known without asking.");
}

/* Weaker than a table that its rows refer to.  True if it is. */
static bool
judge_reference(AdviseFacts *facts, const AdviseTable *table)
{
	Policy		policy = policy_to(table, &table->level_policy, POLICY_MINIMUM, LEVEL_SESSION, -1);
	ListCell   *cell;

	if (table->level >= LEVEL_SESSION)
		return false;
	foreach(cell, table->refers_to)
	{
		const AdviseTable *other = advise_find_table(facts, lfirst_oid(cell));

		if (other == NULL || other->level < LEVEL_SESSION)
			continue;
		advise(facts, table, "weaker than a table that it refers to", &policy,
			   advise_cost_of_session(facts, "this table", table->reads, table->writes),
			   psprintf("A foreign key leads to a table under %s. Read by one query, both get that; read by two, a row that the session has just added is missing beside the row it belongs to.",
						level_name(other->level)));
		return true;
	}
	return false;
}

/* Below session, though it changes all the time. */
static void
judge_weaker(AdviseFacts *facts, const AdviseTable *table)
{
	Policy		policy = policy_to(table, &table->level_policy, POLICY_MINIMUM, LEVEL_SESSION, -1);

	if (table->level >= LEVEL_SESSION || table->writes < table->reads / READ_OFTEN)
		return;
	advise(facts, table, "below session, and written often", &policy,
		   advise_cost_of_session(facts, "this table", table->reads, table->writes),
		   psprintf("Sessions miss what they have written themselves%s. Leave it if nobody notices.",
					missed_rows(facts, table)));
}

/* How much that is now; empty if it isn't known. */
static char *
missed_rows(const AdviseFacts *facts, const AdviseTable *table)
{
	int			lag = advise_worst_lag(facts);

	if (facts->seconds <= 0 || lag == 0)
		return pstrdup("");
	return psprintf(": at the last replica about %.0f rows now",
					ceil(table->writes / facts->seconds * lag / 1000.0));
}

/* No policy, hardly a read that follows no write, and late replicas. */
static void
judge_waits(AdviseFacts *facts, const AdviseTable *table)
{
	int			bound = advise_bound(facts, 0);
	Policy		policy = policy_to(table, NULL, POLICY_DEFAULT, LEVEL_BOUNDED, bound);

	if (table->npolicies > 0 || table->level < LEVEL_SESSION ||
		table->writes < table->reads / 2 || advise_worst_lag(facts) < LAG_THAT_MATTERS_MS)
		return;
	advise(facts, table, "written as often as read, while replicas lag", &policy,
		   psprintf("now: %s. With %s: %s", advise_cost_of_session(facts, "this table", table->reads, table->writes),
					statement_ms(bound), advise_cost_of_bound(facts, bound)),
		   "Sessions then may miss what they have written themselves. If they notice, mend the lag instead.");
}

/* No policy, and hardly ever written, while other tables are. */
static void
judge_read_mostly(AdviseFacts *facts, const AdviseTable *table)
{
	int			bound = advise_bound(facts, READ_MOSTLY_BOUND_MS);
	int64		elsewhere = advise_total_writes(facts) - Max(table->writes, 0);
	Policy		policy = policy_to(table, NULL, POLICY_DEFAULT, LEVEL_BOUNDED, bound);

	if (table->npolicies > 0 || table->level < LEVEL_SESSION || table->writes < 0 ||
		table->reads < READ_MOSTLY * table->writes || elsewhere < table->reads / READ_OFTEN ||
		(facts->lag_is_shown && facts->nreplicas == 0))
		return;
	advise(facts, table, "read often, hardly written", &policy,
		   psprintf("%s. Now a read waits for what its session has written to other tables (" INT64_FORMAT
					" rows, " INT64_FORMAT " reads of this one)",
					advise_cost_of_bound(facts, bound), elsewhere, table->reads),
		   "Rows of this table are rarely newer than that. Sessions that edit them declare session themselves.");
}

/*
 * The policy that is advised: in place of the one that decides now, so of its
 * kind, at the table that has it; or else a new one of the table.
 */
static Policy
policy_to(const AdviseTable *table, const Policy *now, PolicyKind kind,
		  ConsistencyLevel level, int max_staleness_ms)
{
	bool		replaces = now && OidIsValid(now->relation);
	Policy		policy = {
		.kind = replaces ? now->kind : kind,
		.level = level,
		.max_staleness_ms = max_staleness_ms,
		.max_lag = -1,
		.on_timeout = replaces ? now->on_timeout : ON_TIMEOUT_UNSET,
		.write_quorum = replaces ? now->write_quorum : QUORUM_UNSET,
		.relation = replaces ? now->relation : table->relid
	};

	return policy;
}

static void
advise(AdviseFacts *facts, const AdviseTable *table, const char *finding,
	   const Policy *policy, const char *cost, const char *reason)
{
	Advice	   *advice = palloc0(sizeof(Advice));

	advice->relid = table->relid;
	advice->finding = finding;
	advice->now = table->level;
	advice->advised = policy->level;
	advice->cost = cost;
	advice->statement = statement_for_table(policy->relation, policy);
	advice->reason = reason;
	facts->advice = lappend(facts->advice, advice);
}
