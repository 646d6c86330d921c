/*-------------------------------------------------------------------------
 *
 * node_choice.c
 *	  Which node should serve a read?
 *
 * A replica that is known to have the position wanted is best: the read
 * starts there at once.  Of several the one with the fewest of our statements
 * wins, and equals take turns.  If none has it, a replica that lags by less
 * than the caller accepts to wait will do: the smallest lag wins.
 *
 * Known positions are lower bounds, so that "doesn't have it" may be wrong by
 * up to one heartbeat; the caller then only misses a chance.  Whether a
 * position of an older timeline still exists on a newer one isn't asked here:
 * the node that runs the read checks that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "node/node_choice.h"

static bool is_candidate(const NodeInfo *node, const NodeWish *wish);
static int	pick_with_position(const NodeInfo *nodes, int nnodes,
							   const NodeWish *wish, uint32 tie_breaker);
static int	pick_in_time(const NodeInfo *nodes, int nnodes, const NodeWish *wish);

/*
 * node_choice_pick
 *		Choose one of nnodes nodes for a read.
 *
 * Returns its index, or -1 if none will do, and in *verdict why.
 * tie_breaker is any number that varies between calls: it spreads reads over
 * nodes that are equally good.
 */
int
node_choice_pick(const NodeInfo *nodes, int nnodes, const NodeWish *wish,
				 uint32 tie_breaker, NodeVerdict *verdict)
{
	bool		any = false;
	int			pick;

	for (int i = 0; i < nnodes && !any; i++)
		any = is_candidate(&nodes[i], wish);

	if (!any)
	{
		*verdict = NODE_CHOICE_NONE_UP;
		return -1;
	}

	pick = pick_with_position(nodes, nnodes, wish, tie_breaker);
	if (pick >= 0)
	{
		*verdict = position_is_set(wish->position) ?
			NODE_CHOICE_HAS_POSITION : NODE_CHOICE_ANY_POSITION;
		return pick;
	}

	pick = pick_in_time(nodes, nnodes, wish);
	*verdict = pick >= 0 ? NODE_CHOICE_IN_TIME : NODE_CHOICE_ALL_BEHIND;
	return pick;
}

/* For people. */
const char *
node_choice_text(NodeVerdict verdict)
{
	static const char *const texts[] = {
		[NODE_CHOICE_ANY_POSITION] = "any position will do",
		[NODE_CHOICE_HAS_POSITION] = "has the position",
		[NODE_CHOICE_IN_TIME] = "expected to reach the position in time",
		[NODE_CHOICE_NONE_UP] = "no replica is up",
		[NODE_CHOICE_ALL_BEHIND] = "no replica has the position"
	};

	return texts[verdict];
}

/* Could this node serve the read, were its position high enough? */
static bool
is_candidate(const NodeInfo *node, const NodeWish *wish)
{
	if (node->self || node->role != NODE_REPLICA)
		return false;
	if (node->health != NODE_UP &&
		!(wish->any_health && node->health == NODE_UNKNOWN))
		return false;
	return node->position.tli >= wish->position.tli;
}

/*
 * The least loaded candidate that has the position, or -1.  Of those with
 * equal load the one at place (tie_breaker modulo their number).
 */
static int
pick_with_position(const NodeInfo *nodes, int nnodes,
				   const NodeWish *wish, uint32 tie_breaker)
{
	int			lowest = INT_MAX;
	int			ntied = 0;
	int			turn;

	for (int i = 0; i < nnodes; i++)
	{
		if (!is_candidate(&nodes[i], wish) ||
			position_before(nodes[i].position, wish->position))
			continue;
		if (ntied == 0 || nodes[i].load < lowest)
		{
			lowest = nodes[i].load;
			ntied = 0;
		}
		if (nodes[i].load == lowest)
			ntied++;
	}
	if (ntied == 0)
		return -1;

	turn = (int) (tie_breaker % (uint32) ntied);
	for (int i = 0; i < nnodes; i++)
	{
		if (is_candidate(&nodes[i], wish) &&
			!position_before(nodes[i].position, wish->position) &&
			nodes[i].load == lowest &&
			turn-- == 0)
			return i;
	}
	return -1;					/* not reached */
}

/* The candidate with the smallest lag worth waiting for, or -1. */
static int
pick_in_time(const NodeInfo *nodes, int nnodes, const NodeWish *wish)
{
	int			best = -1;

	for (int i = 0; i < nnodes; i++)
	{
		if (!is_candidate(&nodes[i], wish) ||
			nodes[i].lag_us < 0 || nodes[i].lag_us > wish->max_wait_us)
			continue;
		if (best < 0 || nodes[i].lag_us < nodes[best].lag_us ||
			(nodes[i].lag_us == nodes[best].lag_us &&
			 nodes[i].load < nodes[best].load))
			best = i;
	}
	return best;
}
