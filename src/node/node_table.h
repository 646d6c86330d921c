/*-------------------------------------------------------------------------
 *
 * node_table.h
 *	  The shared table behind node_state.h; only for the files of node/.
 *
 * Two arrays: nodes, told apart by address, and server objects, each of which
 * refers to a node.  The readers (node_reader.c) write the servers of one
 * database at a time; a node lives as long as a server refers to it.  The
 * monitor (node_monitor.c) writes what it hears from the nodes.  Backends
 * read, and add what they hear themselves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_TABLE_H
#define CONSISTENCY_NODE_TABLE_H

#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "node/node_counters.h"
#include "node/node_lag.h"
#include "node/node_state.h"

#define NODE_HOST_SIZE		256
#define NODE_PORT_SIZE		8
#define NODE_ERROR_SIZE		256
#define NODE_CONNINFO_SIZE	1024	/* beyond it a node can't be monitored */
#define NODE_MAX_REQUESTS	32

/* A node.  All fields but load: NodeTable.lock. */
typedef struct SharedNode
{
	bool		used;
	uint32		generation;		/* counts the uses of this slot, from 1 */
	char		host[NODE_HOST_SIZE];	/* with the port: the key */
	char		port[NODE_PORT_SIZE];
	bool		self;			/* answered with our own instance id */
	uint64		instance;		/* the id in its last answer; 0: none came */
	bool		caught_up;		/* in that answer: it shows all that it ever
								 * did */
	NodeHealth	health;
	NodeRole	role;			/* in the last heartbeat */
	Position	position;		/* replayed (replica): a lower bound; or
								 * committed up to (primary) */
	Position	vote;			/* how far it was in an answer that counts in
								 * a quorum */
	int64		voted_us;		/* when the question to that answer was sent;
								 * 0: none */
	int64		lag_us;			/* replay lag, microseconds; -1: unknown */
	int64		heartbeat_us;	/* node_clock_us() of the last good one; 0:
								 * none */
	int64		round_trip_us;	/* from the question to that answer */
	double		replay_rate;	/* bytes/s that its position moves by,
								 * smoothed; < 0: unknown */
	NodeCounters *counters;		/* of its address */
	char		error[NODE_ERROR_SIZE]; /* why it is DOWN, '' if it isn't */

	/*
	 * Statements routed there now, low half, and the generation that they
	 * belong to, high half: so that a late end can't count against the next
	 * user of the slot.  No lock.
	 */
	pg_atomic_uint64 load;
} SharedNode;

/* A server object.  All fields: NodeTable.lock. */
typedef struct SharedServer
{
	Oid			dbid;			/* InvalidOid: free */
	Oid			serverid;
	int			slot;			/* in NodeTable.nodes; -1: no room for the
								 * node */
	bool		password_required;	/* must the monitor's link use a password? */
	char		error[NODE_ERROR_SIZE]; /* why it can't be monitored, or '' */
	char		conninfo[NODE_CONNINFO_SIZE];	/* the monitor's, or '';
												 * secret */
} SharedServer;

typedef struct NodeTable
{
	int			tranche;		/* of lock; constant after setup */
	uint64		instance;		/* names this running server; constant too */
	LWLock		lock;

	/*
	 * Counts changes of what is declared, and of who we are; written under
	 * lock (exclusive), read without.  Starts at 1.
	 */
	pg_atomic_uint32 generation;

	ConditionVariable answered; /* news in the history */
	ConditionVariable voted;	/* an answer of any node */

	/* Of node_votes.c, without a lock; times are node_clock_us() */
	pg_atomic_uint64 votes_wanted_us;	/* answers to questions of then or
										 * later are wanted from all nodes; 0:
										 * none were yet */
	pg_atomic_uint64 votes_requested_us;	/* when somebody last wanted any */
	pg_atomic_uint32 votes_woken;	/* 1: the monitor was woken and hasn't
									 * looked yet */

	/* The rest: lock.  (history.timeline is looked at without it, too.) */
	Latch	   *monitor;		/* of the monitor, while it runs */
	int			nrequests;		/* databases to be read again */
	bool		request_all;	/* they didn't fit */
	Oid			requests[NODE_MAX_REQUESTS];
	int64		wanted_us;		/* a primary's answer of then or later is
								 * wanted; PG_INT64_MIN: none was yet */
	int64		requested_us;	/* when somebody last wanted one and had to
								 * wait; PG_INT64_MIN: nobody did yet */
	NodeLagHistory history;		/* what the primary had when */
	SharedNode	nodes[NODE_STATE_MAX_NODES];
	SharedServer servers[NODE_STATE_MAX_SERVERS];
} NodeTable;

/* A server as a reader found it in the catalog; see SharedServer */
typedef struct NodeDeclaration
{
	Oid			serverid;
	char		host[NODE_HOST_SIZE];
	char		port[NODE_PORT_SIZE];
	bool		password_required;
	char		error[NODE_ERROR_SIZE];
	char		conninfo[NODE_CONNINFO_SIZE];
} NodeDeclaration;

/* The answer to a heartbeat */
typedef struct NodeHeartbeat
{
	bool		self;
	uint64		instance;		/* that names the running server */
	bool		caught_up;		/* it shows all that it ever did */
	NodeRole	role;
	Position	position;
	int64		asked_us;		/* node_clock_us() when it was sent */
	bool		first;			/* of this connection: the position may be
								 * lower */
} NodeHeartbeat;

/* NULL where the library wasn't preloaded */
extern NodeTable *node_table;

extern void node_table_set_error(char *error, const char *message);
extern void node_table_attach_monitor(Latch *latch);
extern void node_table_detach_monitor(void);
extern bool node_table_declare(Oid dbid, const NodeDeclaration *declared, int ndeclared,
							   uint32 as_of);
extern int	node_table_find(const char *host, const char *port);
extern bool node_table_declares(Oid dbid, int slot);
extern int	node_table_members(Oid dbid, int *slots);
extern List *node_table_databases(void);
extern void node_table_request(Oid dbid);
extern List *node_table_take_requests(bool *all);
extern void node_table_follow_timeline(void);
extern void node_table_heartbeat(int slot, uint32 generation, const NodeHeartbeat *heartbeat);
extern void node_table_unmonitored(int slot, uint32 generation);
extern uint32 node_table_node(int slot);
extern int	node_table_conninfo(int slot, uint32 which, char *conninfo,
								bool *password_required);
extern bool node_table_has_conninfo(int slot, const char *conninfo);

#endif							/* CONSISTENCY_NODE_TABLE_H */
