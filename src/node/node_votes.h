/*-------------------------------------------------------------------------
 *
 * node_votes.h
 *	  How far the nodes are, asked anew: for reads that ask a quorum.
 *
 * All times are node_clock_us(), of this server alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_VOTES_H
#define CONSISTENCY_NODE_VOTES_H

#include "node/node_state.h"

typedef struct NodeVotes
{
	int			members;		/* nodes that this database declares */
	bool		own;			/* this server is one of them, and has a vote;
								 * it isn't among the others */
	int			n;				/* others that have answered */
	Position	positions[NODE_STATE_MAX_NODES];	/* what they told */
} NodeVotes;

extern void node_votes_request(int64 since_us);
extern void node_votes_count(int64 since_us, NodeVotes *votes);
extern void node_votes_prepare_to_sleep(void);
extern void node_votes_sleep(long timeout_ms);

/* for the monitor */
extern int64 node_votes_wanted(bool *waited_for);

#endif							/* CONSISTENCY_NODE_VOTES_H */
