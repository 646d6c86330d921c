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

extern int	guc_wait_timeout;	/* consistency.wait_timeout, ms, > 0 */
extern int	guc_routing;		/* consistency.routing, a RoutingMode */
extern double guc_route_min_cost;	/* consistency.route_min_cost, planner
									 * units */
extern bool guc_report_token;	/* consistency.report_token */
extern int	guc_monitor_interval;	/* consistency.monitor_interval, ms */
extern char *guc_monitor_role;	/* consistency.monitor_role, '' for none */

extern void guc_init(void);

#endif							/* CONSISTENCY_GUC_H */
