/*-------------------------------------------------------------------------
 *
 * route.c
 *	  Here or there?  The decision at the start of an execution.
 *
 * A plan outlives settings, transactions and nodes, so whatever depends on
 * those is asked here, each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"

#include "core/guc.h"
#include "exec/nesting.h"
#include "exec/route.h"
#include "node/node_catalog.h"
#include "node/node_choice.h"
#include "remote/connection.h"
#include "session/level.h"

/*
 * A read that is sent away may wait there for this part of
 * consistency.wait_timeout: here it could run without any wait.
 */
#define ROUTED_WAIT_PART 10

static const char *reason_to_stay(const Requirement *requirement);

/*
 * route_decide
 *		Where should a read that may leave this primary run?
 */
void
route_decide(Route *route)
{
	static uint32 turn = 0;
	NodeInfo	nodes[NODE_STATE_MAX_NODES];
	NodeWish	wish;
	int			nnodes;
	int			chosen;

	route->remote = false;
	route->node_name = NULL;
	route->requirement = requirement_of(level_current(), session_context());
	route->reason = reason_to_stay(&route->requirement);
	if (route->reason)
		return;

	wish.position = route->requirement.position;
	wish.any_health = route->requirement.any_health;
	route->wait_timeout_ms = Max(guc_wait_timeout / ROUTED_WAIT_PART, 1);
	wish.max_wait_us = (int64) route->wait_timeout_ms * 1000;

	nnodes = node_state_snapshot(nodes, lengthof(nodes));
	for (int i = 0; i < nnodes;)
	{
		if (connection_is_backing_off(nodes[i].serverid, GetUserId()))
			nodes[i] = nodes[--nnodes];
		else
			i++;
	}
	turn++;
	for (;;)
	{
		chosen = node_choice_pick(nodes, nnodes, &wish, turn, &route->reason);
		if (chosen < 0)
			return;
		route->node_name = node_catalog_name(nodes[chosen].serverid);
		if (route->node_name != NULL)
			break;

		/* It was dropped, and the picture doesn't show that yet. */
		nodes[chosen] = nodes[--nnodes];
	}
	route->remote = true;
	route->node = nodes[chosen];
}

/* Why the read must stay whatever the nodes are like; NULL: it needn't. */
static const char *
reason_to_stay(const Requirement *requirement)
{
	if (!nesting_may_leave(true))
		return "statement is part of another one";
	if (guc_routing == ROUTING_OFF)
		return "consistency.routing is off";
	if (RecoveryInProgress())
		return "this server is a replica";
	if (requirement->leader)
		return "level is served by the primary only";
	if (IsolationUsesXactSnapshot())
		return "transaction keeps its snapshot";
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return "transaction has written";
	return NULL;
}
