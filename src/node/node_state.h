/*-------------------------------------------------------------------------
 *
 * node_state.h
 *	  The picture of the cluster that all backends of one server share.
 *
 * A node is a PostgreSQL server, known by where it listens (host and port).
 * Servers, as CREATE SERVER makes them, are objects of one database; the same
 * node may be declared in several databases and is then monitored once.
 *
 * The picture only helps to choose.  It may be old or wrong: the node that
 * runs a read checks for itself, so that a wrong picture costs time and
 * never correctness.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_STATE_H
#define CONSISTENCY_NODE_STATE_H

#include "core/position.h"

#define NODE_STATE_MAX_NODES	64	/* nodes of the cluster */
#define NODE_STATE_MAX_SERVERS	256 /* server objects, over all databases */

typedef enum NodeHealth
{
	NODE_UNKNOWN,				/* declared, no heartbeat came back yet */
	NODE_UP,					/* the last heartbeat was answered in time */
	NODE_DOWN					/* it wasn't, or a client's connection failed */
} NodeHealth;

typedef enum NodeRole
{
	NODE_ROLE_UNKNOWN,
	NODE_PRIMARY,
	NODE_REPLICA
} NodeRole;

/* What a router must know of one server object, copied from shared memory */
typedef struct NodeInfo
{
	Oid			serverid;		/* pg_foreign_server.oid, this database */
	int			slot;			/* place in the shared table, for the calls
								 * below */
	uint32		generation;		/* of that place: a slot may be used anew */
	bool		self;			/* the server that we are */
	NodeHealth	health;
	NodeRole	role;
	Position	position;		/* replayed (replica): a lower bound; or
								 * committed up to (primary) */
	bool		caught_up;		/* it shows all that it ever did: false after
								 * a restart, for a while */
	int64		lag_us;			/* how far replay was behind, microseconds;
								 * -1: unknown */
	int64		heartbeat_us;	/* node_clock_us() when its last good answer
								 * came in; 0: none did */
	int64		asked_us;		/* when it was asked for that */
	int			load;			/* statements that this server has routed
								 * there now */
} NodeInfo;

extern void node_state_init(void);
extern int64 node_clock_us(void);

/* node_status.c */
extern bool node_status_caught_up(void);
extern Position node_status_position(bool in_recovery);

extern bool node_state_routable(void);
extern int	node_state_snapshot(NodeInfo *nodes, int max);
extern int	node_state_members(void);
extern bool node_state_primary(NodeInfo *node);
extern bool node_state_primary_declared(void);
extern void node_state_request(void);
extern bool node_state_deposed(Position *newer);
extern bool node_state_is_down(int slot, uint32 generation);
extern void node_state_begin_statement(int slot, uint32 generation);
extern void node_state_end_statement(int slot, uint32 generation);
extern void node_state_saw_position(int slot, uint32 generation, Position position);
extern void node_state_saw_lag(int slot, uint32 generation, int64 lag_us);
extern void node_state_saw_error(int slot, uint32 generation, const char *message);
extern void node_state_reset_counters(void);
extern void node_state_saw_failure(int slot, uint32 generation, const char *message);

#endif							/* CONSISTENCY_NODE_STATE_H */
