/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings that stand for themselves.
 *
 * The two settings that are more than a value live with what they mean:
 * "consistency" and its default in session/level.c, "consistency.token" in
 * session/session.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_GUC_H
#define CONSISTENCY_GUC_H

typedef enum RoutingMode
{
	ROUTING_OFF,				/* every read runs where the client is
								 * connected */
	ROUTING_AUTO,				/* reads that cost at least route_min_cost may
								 * leave */
	ROUTING_ALWAYS				/* every eligible read leaves */
} RoutingMode;

/* What becomes of a read whose promise can't be kept; the strictest last. */
typedef enum OnTimeout
{
	ON_TIMEOUT_UNSET = -1,		/* not said, in a hint or a policy */
	ON_TIMEOUT_STALE,			/* it runs all the same, with a warning */
	ON_TIMEOUT_PRIMARY,			/* it goes to the primary */
	ON_TIMEOUT_ERROR			/* it fails */
} OnTimeout;

/* How the client is told of a commit that wasn't confirmed in time. */
typedef enum OnUnconfirmed
{
	ON_UNCONFIRMED_WARNING,
	ON_UNCONFIRMED_ERROR
} OnUnconfirmed;

extern bool guc_bounded_keeps_session;	/* consistency.bounded_keeps_session */
extern int	guc_connection_idle_timeout;	/* consistency.connection_idle_timeout,
											 * ms; 0: never */
extern int	guc_connection_limit;	/* consistency.connection_limit, -1: none */
extern int	guc_fallback_limit; /* consistency.fallback_limit, -1: none */
extern int	guc_max_lag;		/* consistency.max_lag, bytes; -1: no bound */
extern int	guc_max_staleness;	/* consistency.max_staleness, ms; -1: no bound */
extern int	guc_on_timeout;		/* consistency.on_timeout, an OnTimeout, never
								 * ON_TIMEOUT_UNSET */
extern int	guc_on_unconfirmed; /* consistency.on_unconfirmed, an
								 * OnUnconfirmed */
extern bool guc_require_leader_fence;	/* consistency.require_leader_fence */
extern int	guc_staleness_ceiling;	/* consistency.staleness_ceiling, ms; -1:
									 * none */
extern int	guc_wait_timeout;	/* consistency.wait_timeout, ms, > 0 */
extern int	guc_routing;		/* consistency.routing, a RoutingMode */
extern double guc_route_min_cost;	/* consistency.route_min_cost, planner
									 * units */
extern bool guc_report_token;	/* consistency.report_token */
extern bool guc_write_forwarding;	/* consistency.write_forwarding */
extern int	guc_write_quorum_timeout;	/* consistency.write_quorum_timeout,
										 * ms; -1: none */
extern int	guc_monitor_interval;	/* consistency.monitor_interval, ms */
extern char *guc_monitor_role;	/* consistency.monitor_role, '' for none */

extern void guc_init(void);
extern OnTimeout guc_on_timeout_parse(const char *name);
extern const char *guc_on_timeout_name(OnTimeout on_timeout);

#endif							/* CONSISTENCY_GUC_H */
