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

#include "utils/guc.h"
#include "utils/plancache.h"

#include "core/guc.h"

int			guc_monitor_interval = 1000;
char	   *guc_monitor_role = "";
bool		guc_report_token = true;
double		guc_route_min_cost = 1000.0;
int			guc_routing = ROUTING_AUTO;
int			guc_wait_timeout = 10000;

static const struct config_enum_entry routing_options[] = {
	{"off", ROUTING_OFF, false},
	{"auto", ROUTING_AUTO, false},
	{"always", ROUTING_ALWAYS, false},
	{NULL, 0, false}
};

static void assign_routing(int newval, void *extra);
static void assign_route_min_cost(double newval, void *extra);

/*
 * Define the settings, sorted by name.  Call it after all other modules have
 * defined theirs: it reserves the prefix.
 */
void
guc_init(void)
{
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

	/* set by clients that can't use the reported token */
	DefineCustomBoolVariable("consistency.report_token",
							 "Reports consistency.token to the client whenever it moves.",
							 NULL,
							 &guc_report_token,
							 true,
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

	/* set by anyone */
	DefineCustomIntVariable("consistency.wait_timeout",
							"Longest wait for a node to reach the position that a read needs.",
							NULL,
							&guc_wait_timeout,
							10000, 1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("consistency");
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
