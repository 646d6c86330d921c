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

extern int	node_choice_pick(const NodeInfo *nodes, int nnodes, const NodeWish *wish,
							 uint32 tie_breaker, const char **reason);

#endif							/* CONSISTENCY_NODE_CHOICE_H */
