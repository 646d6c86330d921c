/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Settings that stand for themselves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <limits.h>

#include "postmaster/postmaster.h"
#include "utils/guc.h"
#include "utils/plancache.h"

#include "core/guc.h"

bool		guc_bounded_keeps_session = false;
int			guc_connection_idle_timeout = 5 * 60 * 1000;
int			guc_connection_limit = -1;
int			guc_fallback_limit = -1;
int			guc_max_lag = -1;
int			guc_max_staleness = 5000;
int			guc_monitor_interval = 1000;
char	   *guc_monitor_role = "";
int			guc_on_timeout = ON_TIMEOUT_PRIMARY;
int			guc_on_unconfirmed = ON_UNCONFIRMED_ERROR;
bool		guc_report_token = true;
bool		guc_require_leader_fence = false;
double		guc_route_min_cost = 1000.0;
int			guc_routing = ROUTING_AUTO;
int			guc_staleness_ceiling = -1;
int			guc_wait_timeout = 10000;
bool		guc_write_forwarding = true;
int			guc_write_quorum_timeout = 10000;

static const struct config_enum_entry routing_options[] = {
	{"off", ROUTING_OFF, false},
	{"auto", ROUTING_AUTO, false},
	{"always", ROUTING_ALWAYS, false},
	{NULL, 0, false}
};

static const struct config_enum_entry on_timeout_options[] = {
	{"primary", ON_TIMEOUT_PRIMARY, false},
	{"error", ON_TIMEOUT_ERROR, false},
	{"stale", ON_TIMEOUT_STALE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry on_unconfirmed_options[] = {
	{"error", ON_UNCONFIRMED_ERROR, false},
	{"warning", ON_UNCONFIRMED_WARNING, false},
	{NULL, 0, false}
};

static void assign_routing(int newval, void *extra);
static void assign_route_min_cost(double newval, void *extra);
static void assign_write_forwarding(bool newval, void *extra);

/*
 * Define the settings, sorted by name.  Call it after all other modules have
 * defined theirs: it reserves the prefix.
 */
void
guc_init(void)
{
	/* set by anyone, and by routers for what they send on */
	DefineCustomBoolVariable("consistency.bounded_keeps_session",
							 "Whether reads at level \"bounded\" keep the guarantees of \"session\" as well.",
							 NULL,
							 &guc_bounded_keeps_session,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by administrators, by anyone for a session */
	DefineCustomIntVariable("consistency.connection_idle_timeout",
							"Time after which a connection to another node that isn't used is closed.",
							"0 keeps connections as long as the session.",
							&guc_connection_idle_timeout,
							5 * 60 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by administrators, for the server */
	DefineCustomIntVariable("consistency.connection_limit",
							"Connections of this server's sessions that may be open to one other node at a time.",
							"-1 sets no limit.",
							&guc_connection_limit,
							-1, -1, MAX_BACKENDS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	/* set by administrators, for the server */
	DefineCustomIntVariable("consistency.fallback_limit",
							"Reads of this server that may run at the primary at a time because no replica could serve them.",
							"Further ones wait for their turn; -1 sets no limit.",
							&guc_fallback_limit,
							-1, -1, MAX_BACKENDS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomIntVariable("consistency.max_lag",
							"Bytes of WAL that a read at level \"bounded\" may be behind the primary.",
							"-1 sets no bound in bytes.",
							&guc_max_lag,
							-1, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_BYTE,
							NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomIntVariable("consistency.max_staleness",
							"Age of the newest write that a read at level \"bounded\" may miss.",
							"-1 sets no bound in time.",
							&guc_max_staleness,
							5000, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by administrators, for the server */
	DefineCustomIntVariable("consistency.monitor_interval",
							"Time between two heartbeats to each node.",
							NULL,
							&guc_monitor_interval,
							1000, 10, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by administrators, for the server */
	DefineCustomStringVariable("consistency.monitor_role",
							   "Role whose user mappings the node monitor connects with.",
							   "Without it nodes are not monitored, and nothing is routed to them.",
							   &guc_monitor_role,
							   "",
							   PGC_SIGHUP, 0,
							   NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomEnumVariable("consistency.on_timeout",
							 "What becomes of a read whose consistency can't be had in time.",
							 "primary: it runs there; error: it fails; stale: it runs all the same, with a warning.",
							 &guc_on_timeout,
							 ON_TIMEOUT_PRIMARY,
							 on_timeout_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomEnumVariable("consistency.on_unconfirmed",
							 "How the client is told of a commit that consistency.write_quorum could not confirm in time.",
							 "error: an error, though the transaction is committed; warning: a warning.",
							 &guc_on_unconfirmed,
							 ON_UNCONFIRMED_ERROR,
							 on_unconfirmed_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by clients that can't use the reported token */
	DefineCustomBoolVariable("consistency.report_token",
							 "Reports consistency.token to the client whenever it moves.",
							 NULL,
							 &guc_report_token,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomBoolVariable("consistency.require_leader_fence",
							 "Fails linearizable reads that no synchronous standby can confirm.",
							 "Off, they run with a warning once a session, and hold while no failover happens.",
							 &guc_require_leader_fence,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by administrators after measuring, by anyone for a session */
	DefineCustomRealVariable("consistency.route_min_cost",
							 "Estimated cost from which consistency.routing = auto lets a read leave.",
							 NULL,
							 &guc_route_min_cost,
							 1000.0, 0.0, DBL_MAX,
							 PGC_USERSET, 0,
							 NULL, assign_route_min_cost, NULL);

	/* set by anyone */
	DefineCustomEnumVariable("consistency.routing",
							 "Whether reads at the primary may be sent to a replica.",
							 "off: never; auto: by estimated cost; always: every read that can leave.",
							 &guc_routing,
							 ROUTING_AUTO,
							 routing_options,
							 PGC_USERSET, 0,
							 NULL, assign_routing, NULL);

	/* set by administrators: for the server, a database or a role */
	DefineCustomIntVariable("consistency.staleness_ceiling",
							"Largest consistency.max_staleness that counts.",
							"-1 sets no ceiling.",
							&guc_staleness_ceiling,
							-1, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomIntVariable("consistency.wait_timeout",
							"Longest wait for a node to reach the position that a read needs.",
							NULL,
							&guc_wait_timeout,
							10000, 1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* set by anyone */
	DefineCustomBoolVariable("consistency.write_forwarding",
							 "Whether a replica sends writes, and what else only a primary can do, to the primary.",
							 "And whether writes of other members' rows are sent to these, where a table has it so. Off, such statements fail.",
							 &guc_write_forwarding,
							 true,
							 PGC_USERSET, 0,
							 NULL, assign_write_forwarding, NULL);

	/* set by anyone */
	DefineCustomIntVariable("consistency.write_quorum_timeout",
							"Longest wait for consistency.write_quorum to confirm a commit.",
							"-1 sets no limit.",
							&guc_write_quorum_timeout,
							10000, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("consistency");
}

/* The value of consistency.on_timeout of that name; unset if there is none. */
OnTimeout
guc_on_timeout_parse(const char *name)
{
	for (const struct config_enum_entry *entry = on_timeout_options; entry->name; entry++)
	{
		if (pg_strcasecmp(name, entry->name) == 0)
			return entry->val;
	}
	return ON_TIMEOUT_UNSET;
}

/* Its name; NULL if it is unset. */
const char *
guc_on_timeout_name(OnTimeout on_timeout)
{
	for (const struct config_enum_entry *entry = on_timeout_options; entry->name; entry++)
	{
		if (entry->val == on_timeout)
			return entry->name;
	}
	return NULL;
}

/*
 * Whether a plan may leave is part of the plan, so that one made under other
 * settings is made anew.  (No process without a database has cached plans.)
 */
static void
assign_routing(int newval, void *extra)
{
	if (newval != guc_routing)
		ResetPlanCache();
}

static void
assign_route_min_cost(double newval, void *extra)
{
	if (newval != guc_route_min_cost)
		ResetPlanCache();
}

static void
assign_write_forwarding(bool newval, void *extra)
{
	if (newval != guc_write_forwarding)
		ResetPlanCache();
}
