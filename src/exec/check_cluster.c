/*-------------------------------------------------------------------------
 *
 * check_cluster.c
 *	  What is wrong with the nodes taken together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "exec/check.h"

/*
 * Settings that change what a query answers.  A routed read brings the
 * session's own; a client that connects to the node gets the node's.
 */
static const char *const answer_settings[] = {
	"TimeZone", "DateStyle", "IntervalStyle", "default_text_search_config", "extra_float_digits",
	"bytea_output", "search_path", "standard_conforming_strings",
	"lc_monetary", "lc_numeric", "lc_time"
};

static bool is_primary(const CheckCluster *cluster, const CheckNode *node);
static int	timeline_of(const CheckCluster *cluster, const CheckNode *node);
static const CheckNode *twin_of(const CheckCluster *cluster, const CheckNode *node);
static void check_declared(CheckCluster *cluster);
static void check_twins(CheckCluster *cluster);
static void check_primaries(CheckCluster *cluster);
static void check_deposed(CheckCluster *cluster, const List *primaries);
static void report_split_brain(CheckCluster *cluster, const List *primaries);
static void check_monitors(CheckCluster *cluster, const CheckNode *node);
static char *deaf_monitors(const CheckCluster *cluster, const CheckNode *node, const char **error);
static void check_differences(CheckCluster *cluster, const CheckNode *reference,
							  const CheckNode *node);
static void check_difference(CheckCluster *cluster, const CheckNode *reference,
							 const CheckNode *node, const char *setting);
static void check_collation_difference(CheckCluster *cluster, const CheckNode *reference,
									   const CheckNode *node, const CheckFact *fact);
static const CheckNode *reference_node(const CheckCluster *cluster);

/*
 * check_cluster
 *		Add all that is wrong to cluster->findings.
 */
void
check_cluster(CheckCluster *cluster)
{
	const CheckNode *reference = reference_node(cluster);
	ListCell   *cell;

	check_declared(cluster);
	check_twins(cluster);
	check_primaries(cluster);
	foreach(cell, cluster->nodes)
	{
		const CheckNode *node = lfirst(cell);

		if (twin_of(cluster, node) != NULL)
			continue;
		check_node(cluster, node);
		if (node->address)
			check_monitors(cluster, node);
		if (node->asked && node != reference)
			check_differences(cluster, reference, node);
	}
}

/* By its own word, or else by what this server's monitor hears. */
static bool
is_primary(const CheckCluster *cluster, const CheckNode *node)
{
	const char *state;
	const char *role;

	if (node->asked)
		return check_fact_is(node, "in_recovery", "false");
	state = check_fact_of(cluster->here, "node_state:", node->name);
	role = check_fact_of(cluster->here, "node_role:", node->name);
	return state && strcmp(state, "up") == 0 && role && strcmp(role, "primary") == 0;
}

/* The timeline that a node is on; 0: not known */
static int
timeline_of(const CheckCluster *cluster, const CheckNode *node)
{
	const char *timeline;

	timeline = node->asked ? check_fact(node, "timeline") :
		check_fact_of(cluster->here, "node_timeline:", node->name);
	return timeline ? atoi(timeline) : 0;
}

/* An earlier node that is the same server; NULL if there is none. */
static const CheckNode *
twin_of(const CheckCluster *cluster, const CheckNode *node)
{
	ListCell   *cell;

	foreach(cell, cluster->nodes)
	{
		const CheckNode *other = lfirst(cell);

		if (other == node)
			break;
		if ((node->address && other->address && strcmp(node->address, other->address) == 0) ||
			check_fact_is(node, "instance", check_fact(other, "instance")))
			return other;
	}
	return NULL;
}

/* Are there nodes, and are we one of them? */
static void
check_declared(CheckCluster *cluster)
{
	const CheckNode *here = cluster->here;
	const char *mend = "CREATE SERVER ... FOREIGN DATA WRAPPER consistency OPTIONS (host '...', port '...'); and user mappings, at the primary.";
	ListCell   *cell;

	if (here->address)
		return;
	if (list_length(cluster->nodes) == 1)
	{
		check_report(cluster, CHECK_NOTICE, NULL, "nodes",
					 psprintf("database \"%s\" declares no nodes: every read runs where its client is connected",
							  cluster->database),
					 mend);
		return;
	}

	/* One that wasn't heard of may be us. */
	foreach(cell, cluster->nodes)
	{
		const CheckNode *node = lfirst(cell);
		const char *state = check_fact_of(here, "node_state:", node->name);

		if (!node->asked && (state == NULL || strcmp(state, "up") != 0))
			return;
	}
	if (is_primary(cluster, here))
		check_report(cluster, CHECK_ERROR, here->name, "nodes",
					 "this primary isn't declared: the replicas can't send anything to it", mend);
	else
		check_report(cluster, CHECK_NOTICE, here->name, "nodes",
					 "this replica isn't declared: no other node sends reads to it", mend);
}

/* A server must not count twice, in a quorum or otherwise. */
static void
check_twins(CheckCluster *cluster)
{
	ListCell   *cell;

	foreach(cell, cluster->nodes)
	{
		const CheckNode *node = lfirst(cell);
		const CheckNode *twin = twin_of(cluster, node);

		if (twin && node->address)
			check_report(cluster, CHECK_WARNING, node->name, "nodes",
						 psprintf("the same server is declared twice, as \"%s\" (%s) and \"%s\" (%s): a quorum may count it twice",
								  twin->name, twin->address, node->name, node->address),
						 psprintf("DROP SERVER %s CASCADE;", quote_identifier(node->name)));
	}
}

/* There has to be one primary. */
static void
check_primaries(CheckCluster *cluster)
{
	List	   *primaries = NIL;
	ListCell   *cell;

	foreach(cell, cluster->nodes)
	{
		CheckNode  *node = lfirst(cell);

		if (is_primary(cluster, node) && twin_of(cluster, node) == NULL)
			primaries = lappend(primaries, node);
	}
	if (primaries == NIL)
		check_report(cluster, CHECK_ERROR, NULL, "primary",
					 "no primary is known: writes and reads that need the newest data fail",
					 "Start the primary or promote a replica (SELECT pg_promote();), and declare it: CREATE SERVER ... FOREIGN DATA WRAPPER consistency OPTIONS (host '...', port '...');");
	else if (list_length(primaries) > 1)
		report_split_brain(cluster, primaries);
	check_deposed(cluster, primaries);
}

static void
report_split_brain(CheckCluster *cluster, const List *primaries)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, primaries)
	{
		const CheckNode *node = lfirst(cell);

		appendStringInfo(&names, "%s\"%s\" (timeline %d)", names.len ? ", " : "",
						 node->name, timeline_of(cluster, node));
	}
	check_report(cluster, CHECK_ERROR, NULL, "primary",
				 psprintf("more than one server is a primary: %s", names.data),
				 "Stop all but the one that was promoted last, and make them its standbys (pg_rewind, or a new base backup).");
}

/* A primary behind the newest timeline was replaced. */
static void
check_deposed(CheckCluster *cluster, const List *primaries)
{
	int			newest = 0;
	ListCell   *cell;

	foreach(cell, cluster->nodes)
		newest = Max(newest, timeline_of(cluster, lfirst(cell)));
	foreach(cell, primaries)
	{
		const CheckNode *node = lfirst(cell);
		int			timeline = timeline_of(cluster, node);

		if (timeline > 0 && timeline < newest)
			check_report(cluster, CHECK_ERROR, node->name, "timeline",
						 psprintf("a deposed primary: it is on timeline %d, while the cluster went on to %d",
								  timeline, newest),
						 "Stop it: pg_ctl stop; then make it a standby of the new primary (pg_rewind, or a new base backup).");
	}
}

/* Do all monitors hear of a node? */
static void
check_monitors(CheckCluster *cluster, const CheckNode *node)
{
	const char *role = quote_identifier(cluster->monitor_role);
	const char *server = quote_identifier(node->name);
	const char *error = NULL;
	char	   *deaf;

	if (!node->monitor_mapped)
	{
		/* where there's no such role, check_node() says so */
		if (check_fact_is(cluster->here, "monitor_role_exists", "true"))
			check_report(cluster, CHECK_ERROR, node->name, "user mapping",
						 psprintf("role \"%s\" of consistency.monitor_role has no usable user mapping: the node isn't monitored",
								  cluster->monitor_role),
						 psprintf("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (user %s, password '...'); if there is one already, it lacks the password.",
								  role, server, quote_literal_cstr(cluster->monitor_role)));
		return;
	}

	/* one that nobody can connect to is reported as such */
	if (!node->asked && node->mapped && node->error.sqlstate == ERRCODE_CONNECTION_FAILURE)
		return;

	deaf = deaf_monitors(cluster, node, &error);
	if (deaf)
		check_report(cluster, CHECK_ERROR, node->name, "monitor",
					 psprintf("the monitor of %s doesn't hear of this node: %s", deaf,
							  error ? error : "no heartbeat has come back yet"),
					 psprintf("Let this node's pg_hba.conf accept role \"%s\" from each node, and correct its user mapping: ALTER USER MAPPING FOR %s SERVER %s OPTIONS (SET password '...'); replicas notice within a minute.",
							  cluster->monitor_role, role, server));
}

/* Nodes to which another one isn't up, as a text, and why; NULL if none. */
static char *
deaf_monitors(const CheckCluster *cluster, const CheckNode *node, const char **error)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, cluster->nodes)
	{
		const CheckNode *observer = lfirst(cell);
		const char *state = check_fact_of(observer, "node_state:", node->name);

		if (state == NULL || strcmp(state, "up") == 0 || twin_of(cluster, observer) != NULL ||
			!check_fact_is(observer, "monitor_role_exists", "true"))
			continue;
		if (*error == NULL)
			*error = check_fact_of(observer, "node_error:", node->name);
		appendStringInfo(&names, "%s\"%s\"", names.len ? ", " : "", observer->name);
	}
	return names.len ? names.data : NULL;
}

/* What others are compared with: a primary that was asked, or else this server. */
static const CheckNode *
reference_node(const CheckCluster *cluster)
{
	ListCell   *cell;

	if (is_primary(cluster, cluster->here))
		return cluster->here;
	foreach(cell, cluster->nodes)
	{
		const CheckNode *node = lfirst(cell);

		if (node->asked && is_primary(cluster, node))
			return node;
	}
	return cluster->here;
}

/* Is the same query answered in the same way at both? */
static void
check_differences(CheckCluster *cluster, const CheckNode *reference, const CheckNode *node)
{
	const char *version = check_fact(reference, "server_version_num");
	const char *other_version = check_fact(node, "server_version_num");
	ListCell   *cell;

	if (version && other_version && strcmp(version, other_version) != 0)
		check_report(cluster, CHECK_NOTICE, node->name, "server_version_num",
					 psprintf("PostgreSQL is version %s here, and %s at \"%s\"",
							  other_version, version, reference->name),
					 "Install one minor release at all nodes, at the replicas first.");

	for (int i = 0; i < lengthof(answer_settings); i++)
		check_difference(cluster, reference, node, answer_settings[i]);
	foreach(cell, reference->facts)
	{
		const CheckFact *fact = lfirst(cell);

		if (strncmp(fact->name, "consistency.", strlen("consistency.")) == 0)
			check_difference(cluster, reference, node, fact->name);
		else
			check_collation_difference(cluster, reference, node, fact);
	}
}

static void
check_difference(CheckCluster *cluster, const CheckNode *reference, const CheckNode *node,
				 const char *setting)
{
	const char *value = check_fact(reference, setting);
	const char *other = check_fact(node, setting);

	if (value == NULL || other == NULL || strcmp(value, other) == 0)
		return;
	check_report(cluster, CHECK_NOTICE, node->name, setting,
				 psprintf("'%s' here, and '%s' at \"%s\": clients that connect to this node get another default",
						  other, value, reference->name),
				 check_mend_setting(setting, value));
}

/* An index that another version of the collation has sorted can't be relied on. */
static void
check_collation_difference(CheckCluster *cluster, const CheckNode *reference,
						   const CheckNode *node, const CheckFact *fact)
{
	static const char prefix[] = "collation_actual:";
	const char *other;

	if (strncmp(fact->name, prefix, strlen(prefix)) != 0)
		return;
	other = check_fact(node, fact->name);
	if (other && strcmp(other, fact->value) != 0)
		check_report(cluster, CHECK_ERROR, node->name,
					 psprintf("collation: %s", fact->name + strlen(prefix)),
					 psprintf("the library sorts by version %s here, and by %s at \"%s\": index scans can miss rows",
							  other, fact->value, reference->name),
					 "Install the same version of the C library and of ICU at all nodes.");
}
