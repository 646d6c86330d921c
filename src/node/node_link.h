/*-------------------------------------------------------------------------
 *
 * node_link.h
 *	  The monitor's connection to one node; only for the monitor.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_LINK_H
#define CONSISTENCY_NODE_LINK_H

#include "libpq-fe.h"

#include "node/node_table.h"

typedef enum NodeLinkPhase
{
	LINK_OFF,					/* no node in this slot, or no way to connect */
	LINK_CLOSED,				/* to be connected at due_us */
	LINK_CONNECTING,			/* until deadline_us */
	LINK_IDLE,					/* to be asked one interval after asked_us */
	LINK_ASKED					/* to answer until deadline_us */
} NodeLinkPhase;

/* All times are node_clock_us(). */
typedef struct NodeLink
{
	NodeLinkPhase phase;
	int			slot;
	uint32		generation;		/* of the slot */
	PGconn	   *conn;			/* NULL when off or closed */
	uint32		wants;			/* socket events waited for; 0 when off or
								 * closed */
	int64		closed_us;		/* when closed: since when */
	int64		due_us;			/* when closed: until when, as a rule */
	int64		deadline_us;	/* when connecting or asked */
	int64		asked_us;		/* when the last heartbeat was sent */
	NodeRole	role;			/* in the last answer */
	bool		self;			/* it was our own */
	bool		first;			/* no heartbeat came back on this connection
								 * yet */
	bool		urgent;			/* somebody waits for its answer */
	uint32		failures;		/* since the last good heartbeat */
	bool		password_required;	/* goes with conninfo */
	char		conninfo[NODE_CONNINFO_SIZE];	/* of this connection */
} NodeLink;

/* set when the sockets, or what is waited for, changed */
extern bool node_link_sockets_changed;

extern void node_link_start(NodeLink *link, int slot, uint32 generation);
extern void node_link_stop(NodeLink *link);
extern int64 node_link_next(const NodeLink *link);
extern void node_link_run(NodeLink *link, int64 now);
extern bool node_link_has_primary(const NodeLink *link);
extern void node_link_want(NodeLink *link, int64 wanted_us, bool waited_for);
extern void node_link_socket_ready(NodeLink *link, int64 now);

#endif							/* CONSISTENCY_NODE_LINK_H */
