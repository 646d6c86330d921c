/*-------------------------------------------------------------------------
 *
 * advise_declared.c
 *	  What levels of roles and databases cost.  Pure.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "advise/advise.h"
#include "advise/statement.h"

static void judge_linearizable(AdviseFacts *facts, const AdviseDeclared *declared);
static void judge_weaker(AdviseFacts *facts, const AdviseDeclared *declared);
static void judge_bound(AdviseFacts *facts, const AdviseDeclared *declared);
static char *cost_of_reads(const AdviseFacts *facts, const AdviseDeclared *declared);
static char *prefix_of(const AdviseDeclared *declared);
static char *name_of(const AdviseDeclared *declared);
static void advise(AdviseFacts *facts, const AdviseDeclared *declared, const char *finding,
				   const Policy *policy, const char *cost, const char *reason);

/* Judge each level that ALTER ROLE or ALTER DATABASE has set. */
void
advise_declared(AdviseFacts *facts)
{
	ListCell   *cell;

	foreach(cell, facts->declared)
	{
		judge_linearizable(facts, lfirst(cell));
		judge_weaker(facts, lfirst(cell));
		judge_bound(facts, lfirst(cell));
	}
}

/* All reads go to the primary, those of tables that need it and all others. */
static void
judge_linearizable(AdviseFacts *facts, const AdviseDeclared *declared)
{
	Policy		policy = {.level = LEVEL_CAUSAL,.max_staleness_ms = -1};

	if (Max(declared->level, declared->minimum) != LEVEL_LINEARIZABLE)
		return;
	advise(facts, declared, "reads everything linearizable", &policy,
		   cost_of_reads(facts, declared),
		   "Policies say for which tables it matters: consistency.set_policy(table, 'linearizable').");
}

/* It writes, and may not see it. */
static void
judge_weaker(AdviseFacts *facts, const AdviseDeclared *declared)
{
	Policy		policy = {.level = LEVEL_SESSION,.max_staleness_ms = -1};
	bool		below = declared->level != LEVEL_UNSET &&
	Max(declared->level, declared->minimum) < LEVEL_SESSION;
	bool		writes = declared->calls.writes > 0 ||
	(!OidIsValid(declared->roleid) && advise_total_writes(facts) > 0);

	if (!below || !writes)
		return;
	advise(facts, declared, "writes, and reads below session", &policy,
		   advise_cost_of_session(facts, "any table", advise_total_reads(facts),
								  facts->in_recovery ? -1 : advise_total_writes(facts)),
		   "Sessions miss what they have written themselves. Leave it if nobody notices, or give single tables a policy.");
}

/* A bound in time that makes reads wait, or ask. */
static void
judge_bound(AdviseFacts *facts, const AdviseDeclared *declared)
{
	int			bound = declared->max_staleness_ms;
	int			longer = advise_bound(facts, Max(bound, 0));
	Policy		policy = {.level = LEVEL_BOUNDED,.max_staleness_ms = longer};

	if (declared->level != LEVEL_BOUNDED || bound < 0)
		return;
	if (bound < facts->monitor_interval_ms)
		advise(facts, declared, "bound shorter than a heartbeat's interval", &policy,
			   advise_cost_of_asking(facts, bound),
			   "A lower consistency.monitor_interval on all nodes serves a bound that must stay.");
	if (advise_behind(facts, bound) > 0)
		advise(facts, declared, "bound below the lag", &policy,
			   psprintf("now: %s. With %s: %s", advise_cost_of_bound(facts, bound),
						statement_ms(longer), advise_cost_of_bound(facts, longer)),
			   "If the bound must stay, it is the replicas that need mending: see consistency.nodes and consistency.check().");
}

/* Reads that all go to the primary: of a role, or of all. */
static char *
cost_of_reads(const AdviseFacts *facts, const AdviseDeclared *declared)
{
	const char *calls = advise_cost_of_calls(facts, &declared->calls);

	if (OidIsValid(declared->roleid))
		return psprintf("now all its reads run at the primary, each behind a fence: %s", calls);
	return psprintf("now all reads run at the primary, each behind a fence: %s; %s. Under causal: %s",
					advise_rate(facts, advise_total_reads(facts)), calls,
					advise_cost_of_session(facts, "any table", advise_total_reads(facts),
										   facts->in_recovery ? -1 : advise_total_writes(facts)));
}

/* "ALTER ROLE x ", as it was set. */
static char *
prefix_of(const AdviseDeclared *declared)
{
	if (!declared->role && !OidIsValid(declared->roleid) && declared->database)
		return psprintf("ALTER DATABASE %s ", quote_identifier(declared->database));
	return psprintf("ALTER ROLE %s %s%s%s",
					declared->role ? quote_identifier(declared->role) : "ALL",
					declared->database ? "IN DATABASE " : "",
					declared->database ? quote_identifier(declared->database) : "",
					declared->database ? " " : "");
}

/* Whom it is about, as a message says it. */
static char *
name_of(const AdviseDeclared *declared)
{
	if (declared->role)
		return psprintf("role %s%s%s", quote_identifier(declared->role),
						declared->database ? " in database " : "",
						declared->database ? quote_identifier(declared->database) : "");
	if (declared->database)
		return psprintf("database %s", quote_identifier(declared->database));
	return pstrdup("all roles");
}

static void
advise(AdviseFacts *facts, const AdviseDeclared *declared, const char *finding,
	   const Policy *policy, const char *cost, const char *reason)
{
	Advice	   *advice = palloc0(sizeof(Advice));
	ConsistencyLevel now = Max(declared->level, declared->minimum);
	char	   *statement = statement_for_settings(prefix_of(declared), policy, false);

	/* a minimum stays in the way */
	if (declared->minimum > policy->level)
		statement = psprintf("%sSET consistency.minimum_level = '%s';%s%s",
							 prefix_of(declared), level_name(policy->level),
							 declared->level == LEVEL_UNSET ? "" : " ",
							 declared->level == LEVEL_UNSET ? "" : statement);

	advice->finding = psprintf("%s: %s", name_of(declared), finding);
	advice->now = now;
	advice->advised = policy->level;
	advice->cost = cost;
	advice->statement = statement;
	advice->reason = reason;
	facts->advice = lappend(facts->advice, advice);
}
