/*-------------------------------------------------------------------------
 *
 * node_counters.h
 *	  What was counted of each node; it outlives crashes and restarts.
 *
 * Known by address, as nodes are.  What changes together is written under the
 * node table's lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_COUNTERS_H
#define CONSISTENCY_NODE_COUNTERS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

#define NODE_COUNTERS_ERROR_SIZE 256

typedef struct NodeCounters
{
	char		host[256];
	char		port[8];
	bool		used;			/* by a node that is declared */
	pg_atomic_uint64 requests;	/* statements sent there; no lock */
	uint64		errors;			/* connections and statements that failed
								 * there, heartbeats among them */
	TimestampTz last_error_at;	/* 0: never */
	char		last_error[NODE_COUNTERS_ERROR_SIZE];
	uint64		state_changes;	/* up, down, primary, replica */
	TimestampTz last_state_change_at;	/* 0: never */
} NodeCounters;

extern void node_counters_init(void);

extern void node_counters_unuse_all(void);

/* under the node table's lock */
extern NodeCounters *node_counters_use(const char *host, const char *port);
extern void node_counters_count_error(NodeCounters *counters, const char *error);
extern void node_counters_count_change(NodeCounters *counters);
extern void node_counters_reset(void);

#endif							/* CONSISTENCY_NODE_COUNTERS_H */
