/*-------------------------------------------------------------------------
 *
 * node_monitor.h
 *	  The background worker that keeps the shared table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_MONITOR_H
#define CONSISTENCY_NODE_MONITOR_H

extern void node_monitor_init(void);

#endif							/* CONSISTENCY_NODE_MONITOR_H */
