/*-------------------------------------------------------------------------
 *
 * node_choice.h
 *	  Which node should serve a read?
 *
 * Pure: everything that the choice depends on is in the arguments, so that
 * it can be tested as a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_CHOICE_H
#define CONSISTENCY_NODE_CHOICE_H

#include "node/node_state.h"

typedef struct NodeWish
{
	Position	position;		/* the read must not run before it; none: any */
	bool		any_health;		/* weak: a node of unknown health will do */
	int64		max_wait_us;	/* longest wait for replay worth accepting,
								 * microseconds */
} NodeWish;

typedef enum NodeVerdict
{
	NODE_CHOICE_ANY_POSITION,	/* whatever the node has will do */
	NODE_CHOICE_HAS_POSITION,
	NODE_CHOICE_IN_TIME,		/* it is expected to reach the position */
	NODE_CHOICE_NONE_UP,		/* nothing chosen: no replica is up */
	NODE_CHOICE_ALL_BEHIND		/* nor is one expected to be there in time */
} NodeVerdict;

extern int	node_choice_pick(const NodeInfo *nodes, int nnodes, const NodeWish *wish,
							 uint32 tie_breaker, NodeVerdict *verdict);
extern const char *node_choice_text(NodeVerdict verdict);

#endif							/* CONSISTENCY_NODE_CHOICE_H */
