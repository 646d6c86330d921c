/*-------------------------------------------------------------------------
 *
 * check_node.c
 *	  What is wrong with one node, by its own facts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>

#include "utils/builtins.h"

#include "exec/check.h"

/* Who a rule is for */
typedef enum CheckRole
{
	FOR_PRIMARY,
	FOR_REPLICA
} CheckRole;

/* A setting that must not have a value */
typedef struct SettingRule
{
	CheckRole	role;
	const char *setting;
	const char *bad;
	CheckSeverity severity;
	const char *problem;
	const char *good;
} SettingRule;

static const SettingRule setting_rules[] = {
	{FOR_PRIMARY, "fsync", "off", CHECK_WARNING,
	"a crash of the machine can take acknowledged writes back, or damage the data", "on"},
	{FOR_PRIMARY, "full_page_writes", "off", CHECK_WARNING,
	"a crash of the machine can damage acknowledged writes", "on"},
	{FOR_PRIMARY, "synchronous_commit", "off", CHECK_WARNING,
	"commits are acknowledged before they are on disk here or at a standby: a crash takes them back", "on"},
	{FOR_REPLICA, "hot_standby_feedback", "off", CHECK_NOTICE,
	"long reads here are cancelled when replay removes rows that they may still see", "on"},
	{FOR_REPLICA, "max_standby_streaming_delay", "-1", CHECK_WARNING,
	"replay waits for a long read without end, and reads that need fresh data time out meanwhile", "30s"},
	{FOR_REPLICA, "wal_receiver_status_interval", "0", CHECK_WARNING,
	"the primary isn't told what arrived here: synchronous commits wait, and hot_standby_feedback has no effect", "10s"},
};

/* What synchronous_standby_names demands */
typedef struct SyncDemand
{
	bool		any;			/* ANY: whichever answer first */
	int			num;			/* standbys that a commit waits for */
} SyncDemand;

static void check_unasked(CheckCluster *cluster, const CheckNode *node);
static char *unasked_mend(const CheckCluster *cluster, const CheckNode *node);
static void check_settings(CheckCluster *cluster, const CheckNode *node, CheckRole role);
static void check_synchronous(CheckCluster *cluster, const CheckNode *node);
static void check_standbys(CheckCluster *cluster, const CheckNode *node, const char *names);
static void report_unfenced(CheckCluster *cluster, const CheckNode *node);
static SyncDemand parse_synchronous(const char *names);
static void check_replay(CheckCluster *cluster, const CheckNode *node);
static void check_version(CheckCluster *cluster, const CheckNode *node);
static void check_staleness(CheckCluster *cluster, const CheckNode *node);
static void check_monitor_role(CheckCluster *cluster, const CheckNode *node);
static void check_collations(CheckCluster *cluster, const CheckNode *node);

/*
 * check_node
 *		Add what is wrong with a node to cluster->findings.
 */
void
check_node(CheckCluster *cluster, const CheckNode *node)
{
	bool		in_recovery = check_fact_is(node, "in_recovery", "true");

	if (!node->asked)
	{
		check_unasked(cluster, node);
		return;
	}

	check_version(cluster, node);
	check_monitor_role(cluster, node);
	check_settings(cluster, node, in_recovery ? FOR_REPLICA : FOR_PRIMARY);
	if (in_recovery)
		check_replay(cluster, node);
	else
	{
		check_synchronous(cluster, node);
		check_collations(cluster, node);
	}
	check_staleness(cluster, node);
}

/* The caller can't read at this node. */
static void
check_unasked(CheckCluster *cluster, const CheckNode *node)
{
	if (node->error.sqlstate == ERRCODE_OBJECT_IN_USE)
	{
		check_report(cluster, CHECK_NOTICE, node->name, "connection",
					 "a cursor of this session reads from this node: it wasn't asked",
					 "CLOSE ALL; or check in another session.");
		return;
	}
	check_report(cluster, CHECK_ERROR, node->name, node->mapped ? "connection" : "user mapping",
				 psprintf("role \"%s\" can't read at this node (%s): %s",
						  cluster->role, node->address, node->error.message),
				 unasked_mend(cluster, node));
}

/* What to do about it; the errors are connection.c's, and those of servers. */
static char *
unasked_mend(const CheckCluster *cluster, const CheckNode *node)
{
	const char *server = quote_identifier(node->name);
	const char *role = quote_identifier(cluster->role);

	if (!node->mapped)
		return psprintf("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (user %s, password '...'); if there is one already, it lacks the password.",
						role, server, quote_literal_cstr(cluster->role));

	switch (node->error.sqlstate)
	{
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			if (node->connected)
				return psprintf("GRANT pg_monitor TO %s;", role);
			return psprintf("ALTER USER MAPPING FOR %s SERVER %s OPTIONS (SET user %s);",
							role, server, quote_literal_cstr(cluster->role));
		case ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED:
			return psprintf("Demand scram-sha-256 of role \"%s\" in the node's pg_hba.conf, not trust or peer.",
							cluster->role);
		case ERRCODE_FDW_ERROR:
			return psprintf("ALTER SERVER %s OPTIONS (SET host '...', SET port '...'); or DROP SERVER %s CASCADE;",
							server, server);
		case ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_UNDEFINED_FUNCTION:
			return psprintf("ALTER SERVER %s OPTIONS (SET dbname %s);",
							server, quote_literal_cstr(cluster->database));
		case ERRCODE_UNDEFINED_FILE:
			return pstrdup("Install the library at the node.");
	}
	if (node->error.hint)
		return pstrdup(node->error.hint);
	return psprintf("Start the node, let its pg_hba.conf accept role \"%s\", correct the user mapping; or DROP SERVER %s CASCADE;",
					cluster->role, server);
}

/* Settings that must not have a certain value. */
static void
check_settings(CheckCluster *cluster, const CheckNode *node, CheckRole role)
{
	for (int i = 0; i < lengthof(setting_rules); i++)
	{
		const SettingRule *rule = &setting_rules[i];

		if (rule->role == role && check_fact_is(node, rule->setting, rule->bad))
			check_report(cluster, rule->severity, node->name, rule->setting, rule->problem,
						 check_mend_setting(rule->setting, rule->good));
	}
}

/* Does the primary wait for standbys, and is the fence to be had? */
static void
check_synchronous(CheckCluster *cluster, const CheckNode *node)
{
	const char *names = check_fact(node, "synchronous_standby_names");

	if (names == NULL)
		return;
	if (names[strspn(names, " \t\n")] == '\0')
	{
		report_unfenced(cluster, node);
		return;
	}
	if (check_fact_is(node, "synchronous_commit", "local"))
		check_report(cluster, CHECK_WARNING, node->name, "synchronous_commit",
					 "commits don't wait for the synchronous standbys: a failover takes acknowledged writes back",
					 check_mend_setting("synchronous_commit", "on"));
	check_standbys(cluster, node, names);
}

static void
report_unfenced(CheckCluster *cluster, const CheckNode *node)
{
	const char *standbys = check_fact(node, "standby_names");
	const char *mend = "Connect a standby and name it: ALTER SYSTEM SET synchronous_standby_names = '...'; SELECT pg_reload_conf();";

	if (standbys && standbys[0])
		mend = check_mend_setting("synchronous_standby_names",
								  psprintf("FIRST 1 (%s)", standbys));
	check_report(cluster, CHECK_WARNING, node->name, "synchronous_standby_names",
				 "no standby is synchronous: level \"linearizable\" has no fence and holds only while no failover happens, and a failover takes acknowledged writes back",
				 mend);
}

/* Are there as many as commits wait for, and others that could be promoted? */
static void
check_standbys(CheckCluster *cluster, const CheckNode *node, const char *names)
{
	const char *all = check_fact(node, "standbys");
	const char *synchronous = check_fact(node, "synchronous_standbys");
	const char *standbys = check_fact(node, "standby_names");
	SyncDemand	demand = parse_synchronous(names);

	if (all == NULL || synchronous == NULL || standbys == NULL)
		return;
	if (atoi(synchronous) < demand.num)
		check_report(cluster, CHECK_ERROR, node->name, "synchronous_standby_names",
					 psprintf("commits wait for %d synchronous standby(s), of which %s stream(s) now: writes hang",
							  demand.num, synchronous),
					 psprintf("Connect the standbys that it names (%s; connected: %s), or name others.",
							  names, standbys[0] ? standbys : "none"));
	else if (atoi(all) > demand.num)
		check_report(cluster, CHECK_NOTICE, node->name, "synchronous_standby_names",
					 psprintf("commits wait for %d of %s standbys (%s): if one is promoted that has not confirmed a write, that write is lost",
							  demand.num, all, demand.any ? "whichever answer first" : "the first ones named"),
					 psprintf("In a failover promote %s; or %s",
							  demand.any ? "the standby with the highest position" : "a synchronous one",
							  check_mend_setting("synchronous_standby_names",
												 psprintf("FIRST %s (%s)", all, standbys))));
}

/* "FIRST n (...)", "ANY n (...)", "n (...)", or names alone, which mean 1 */
static SyncDemand
parse_synchronous(const char *names)
{
	SyncDemand	demand = {false, 1};
	const char *c = names + strspn(names, " \t\n");
	char	   *end;
	long		num;

	if (pg_strncasecmp(c, "first", 5) == 0 && isspace((unsigned char) c[5]))
		c += 5;
	else if (pg_strncasecmp(c, "any", 3) == 0 && isspace((unsigned char) c[3]))
	{
		demand.any = true;
		c += 3;
	}
	num = strtol(c, &end, 10);
	end += strspn(end, " \t\n");
	if (num > 0 && num <= INT_MAX && *end == '(')
		demand.num = (int) num;
	else
		demand.any = false;
	return demand;
}

/* Does the replica receive and replay what the primary writes, at once? */
static void
check_replay(CheckCluster *cluster, const CheckNode *node)
{
	const char *receiver = check_fact(node, "wal_receiver");
	const char *pause = check_fact(node, "replay_pause");
	const char *delay = check_fact(node, "recovery_min_apply_delay");

	if (receiver && strcmp(receiver, "streaming") != 0)
		check_report(cluster, CHECK_ERROR, node->name, "primary_conninfo",
					 psprintf("nothing streams in from the primary (WAL receiver: %s): reads that need fresh data time out", receiver),
					 "Look at this node's log; correct primary_conninfo, or the primary's pg_hba.conf, or its replication slot.");
	if (pause && strcmp(pause, "not paused") != 0)
		check_report(cluster, CHECK_WARNING, node->name, "replay",
					 psprintf("replay is held up (%s): reads that need fresh data time out", pause),
					 "SELECT pg_wal_replay_resume();");
	if (delay && atoi(delay) > 0)
		check_report(cluster, CHECK_WARNING, node->name, "recovery_min_apply_delay",
					 psprintf("replay is %s ms late by intent: reads that need fresh data wait as long or time out", delay),
					 psprintf("%s or don't declare this node: DROP SERVER %s CASCADE;",
							  check_mend_setting("recovery_min_apply_delay", "0"),
							  quote_identifier(node->name)));
}

/* One version of library and extension everywhere? */
static void
check_version(CheckCluster *cluster, const CheckNode *node)
{
	const char *library = check_fact(node, "library_version");
	const char *extension = check_fact(node, "extension_version");
	const char *here = check_fact(cluster->here, "library_version");

	if (library && here && strcmp(library, here) != 0)
		check_report(cluster, CHECK_ERROR, node->name, "library",
					 psprintf("the library is version %s here, and %s at the server that checks", library, here),
					 "Install one version at all nodes; restart the replicas, then the primary.");
	if (library && extension && strcmp(library, extension) != 0)
		check_report(cluster, CHECK_ERROR, node->name, "extension",
					 psprintf("the library is version %s, the extension in this database %s", library, extension),
					 psprintf("ALTER EXTENSION consistency UPDATE TO %s; at the primary, if the library is right; else install the right one.",
							  quote_literal_cstr(library)));
}

/* How stale a replica is can't be known better than heartbeats come. */
static void
check_staleness(CheckCluster *cluster, const CheckNode *node)
{
	const char *interval = check_fact(node, "consistency.monitor_interval");
	const char *bound = check_fact(node, "consistency.max_staleness");

	if (interval && bound && atoi(bound) >= 0 && atoi(interval) > atoi(bound))
		check_report(cluster, CHECK_NOTICE, node->name, "consistency.monitor_interval",
					 psprintf("heartbeats come every %s ms, less often than consistency.max_staleness (%s ms) asks for: reads at level \"bounded\" wait or go to the primary",
							  interval, bound),
					 check_mend_setting("consistency.monitor_interval",
										psprintf("%dms", Max(atoi(bound) / 2, 10))));
}

/* Does the node watch the others? */
static void
check_monitor_role(CheckCluster *cluster, const CheckNode *node)
{
	const char *role = check_fact(node, "consistency.monitor_role");

	if (role == NULL || (list_length(cluster->nodes) == 1 && node->address == NULL))
		return;
	if (role[0] == '\0')
		check_report(cluster, CHECK_ERROR, node->name, "consistency.monitor_role",
					 "not set: this server knows nothing of the other nodes and sends nothing to them",
					 check_mend_setting("consistency.monitor_role",
										cluster->monitor_role[0] ? cluster->monitor_role : "..."));
	else if (check_fact_is(node, "monitor_role_exists", "false"))
		check_report(cluster, CHECK_ERROR, node->name, "consistency.monitor_role",
					 psprintf("role \"%s\" does not exist: this server knows nothing of the other nodes and sends nothing to them", role),
					 psprintf("CREATE ROLE %s LOGIN PASSWORD '...'; at the primary, and user mappings for it.",
							  quote_identifier(role)));
}

/* Was data sorted by another version of a collation than the one in use? */
static void
check_collations(CheckCluster *cluster, const CheckNode *node)
{
	static const char prefix[] = "collation_recorded:";
	ListCell   *cell;

	foreach(cell, node->facts)
	{
		const CheckFact *fact = lfirst(cell);
		const char *name;
		const char *actual;

		if (strncmp(fact->name, prefix, strlen(prefix)) != 0)
			continue;
		name = fact->name + strlen(prefix);
		actual = check_fact_of(node, "collation_actual:", name);
		if (actual && strcmp(actual, fact->value) != 0)
			check_report(cluster, CHECK_WARNING, node->name, psprintf("collation: %s", name),
						 psprintf("indexes were built with version %s of the collation, the library has %s: they may miss rows",
								  fact->value, actual),
						 "REINDEX what uses it, then ALTER COLLATION or ALTER DATABASE ... REFRESH COLLATION VERSION.");
	}
}

/* The value of a fact; NULL if the node didn't tell. */
const char *
check_fact(const CheckNode *node, const char *name)
{
	return check_fact_of(node, "", name);
}

/* The same of one named "<prefix><name>". */
const char *
check_fact_of(const CheckNode *node, const char *prefix, const char *name)
{
	size_t		length = strlen(prefix);
	ListCell   *cell;

	foreach(cell, node->facts)
	{
		const CheckFact *fact = lfirst(cell);

		if (strncmp(fact->name, prefix, length) == 0 && strcmp(fact->name + length, name) == 0)
			return fact->value;
	}
	return NULL;
}

/* Has a fact this value?  False if it isn't known, or the value is NULL. */
bool
check_fact_is(const CheckNode *node, const char *name, const char *value)
{
	const char *actual = check_fact(node, name);

	return actual && value && strcmp(actual, value) == 0;
}

/* Add a finding. */
void
check_report(CheckCluster *cluster, CheckSeverity severity, const char *node,
			 const char *subject, const char *problem, const char *mend)
{
	CheckFinding *finding = palloc(sizeof(CheckFinding));

	finding->severity = severity;
	finding->node = node;
	finding->subject = subject;
	finding->problem = problem;
	finding->mend = mend;
	cluster->findings = lappend(cluster->findings, finding);
}

/* The SQL that gives a setting of a server another value. */
char *
check_mend_setting(const char *setting, const char *value)
{
	/* search_path is a list of quoted names already */
	bool		is_list = strcmp(setting, "search_path") == 0 && value[0] != '\0';

	return psprintf("ALTER SYSTEM SET %s = %s; SELECT pg_reload_conf();", setting,
					is_list ? value : quote_literal_cstr(value));
}
