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
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "core/guc.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "exec/nesting.h"
#include "exec/node_connection.h"
#include "exec/route.h"
#include "node/node_catalog.h"
#include "node/node_choice.h"
#include "node/node_freshness.h"
#include "remote/connection.h"
#include "session/commit_position.h"

/*
 * A read that is sent away may wait there for this part of
 * consistency.wait_timeout: here it could run without any wait.
 */
#define ROUTED_WAIT_PART 10

/* naps while waiting for a primary to come up, microseconds */
#define PRIMARY_NAP 20000

/* how often to have the declarations read meanwhile, microseconds */
#define REQUEST_INTERVAL 1000000

static void route_to_replica(Route *route);
static NodeWish wish_of(const Requirement *requirement, int max_wait_ms);
static Position wanted_position(const Requirement *requirement);
static int	usable_nodes(NodeInfo *nodes);
static int	pick(Route *route, NodeInfo *nodes, int nnodes, const NodeWish *wish);
static void go_to(Route *route, const NodeInfo *node);
static RemotePromise promise_of(const Declaration *declaration);
static const char *reason_to_stay(void);

/*
 * route_decide
 *		Where should a read that may leave this primary run?
 */
void
route_decide(Route *route, const Declaration *declaration)
{
	route_prepare(route, declaration);
	route->reason = reason_to_stay();
	if (route->reason != NULL)
		return;
	if (route->requirement.leader)
		route->reason = "level is served by the primary only";
	else
		route_to_replica(route);
}

/* Nothing is decided yet: the statement stays. */
void
route_prepare(Route *route, const Declaration *declaration)
{
	memset(route, 0, sizeof(*route));
	route->declaration = *declaration;
	route->requirement = requirement_of(declaration, session_context());
	route->promise = promise_of(&route->declaration);
	route->promise.wait_timeout_ms = declaration->wait_timeout_ms;
}

/*
 * route_to_primary
 *		Send a statement from this replica to the primary, if one is known to be
 *		up.
 */
void
route_to_primary(Route *route)
{
	NodeInfo	primary;
	TimeLineID	followed;

	route->remote = false;
	route->reason = "no primary is known to be up";
	(void) GetXLogReplayRecPtr(&followed);

	/*
	 * One that this replica has left was replaced, known to the monitor or
	 * not.
	 */
	if (node_state_primary(&primary) && primary.position.tli >= followed)
		go_to(route, &primary);
}

/*
 * route_await_primary
 *		No primary is known to be up: wait for one until the deadline.
 *
 * After a failover the monitor finds the new one by itself.
 */
bool
route_await_primary(Route *route, TimestampTz deadline)
{
	int64		began_us = node_clock_us();
	int64		request_us = began_us;
	int			nap_us = PRIMARY_NAP;

	if (node_catalog_servers() == NIL)
		return false;
	node_state_request();
	InvalidateCatalogSnapshot();
	while (!route->remote && nap(&nap_us, PRIMARY_NAP, deadline, wait_event_primary()))
	{
		/* At a replica nobody notices when they change. */
		if (node_clock_us() - request_us >= REQUEST_INTERVAL)
		{
			request_us = node_clock_us();
			node_state_request();
		}
		if (!RecoveryInProgress())
			return false;		/* it is this one */
		node_freshness_request(began_us);
		route_to_primary(route);
		/* Replay, on which the next primary may depend, must not wait for us. */
		InvalidateCatalogSnapshot();
	}
	return route->remote;
}

/* Send a read from this primary to a replica that can serve it, if there is one. */
static void
route_to_replica(Route *route)
{
	NodeInfo	nodes[NODE_STATE_MAX_NODES];
	NodeWish	wish;
	int			nnodes = usable_nodes(nodes);
	int			chosen;

	route->promise.wait_timeout_ms = Max(route->declaration.wait_timeout_ms / ROUTED_WAIT_PART, 1);
	wish = wish_of(&route->requirement, route->promise.wait_timeout_ms);

	chosen = pick(route, nodes, nnodes, &wish);
	if (chosen < 0 && route->declaration.on_timeout == ON_TIMEOUT_STALE)
	{
		const char *reason = route->reason;

		/* The one that is the least behind may be fresh enough by then. */
		wish.max_wait_us = PG_INT64_MAX;
		chosen = pick(route, nodes, nnodes, &wish);
		if (chosen >= 0)
		{
			route->promise.on_timeout = guc_on_timeout_name(ON_TIMEOUT_STALE);
			route->reason = reason;
		}
	}
	route->unserved = chosen < 0;
	if (!route->unserved)
		route->fallback = FALLBACK_NONE;
}

/*
 * What the choice of a node must look at.
 *
 * A replica that lags by more than a read may be stale doesn't get there by
 * waiting: what is wanted moves on as well.
 */
static NodeWish
wish_of(const Requirement *requirement, int max_wait_ms)
{
	if (requirement->max_staleness_ms >= 0)
		max_wait_ms = Min(max_wait_ms, requirement->max_staleness_ms);
	return (NodeWish)
	{
		.position = wanted_position(requirement),
			.any_health = requirement->any_health,
			.max_wait_us = (int64) max_wait_ms * 1000,
	};
}

/*
 * The position that a node must show, as far as this primary can tell: what the
 * session has seen, and what the bounds come to.
 */
static Position
wanted_position(const Requirement *requirement)
{
	Position	wanted = requirement->position;
	Position	bound;

	if (requirement->max_staleness_ms >= 0)
	{
		int64		since_us = node_clock_us() - requirement->max_staleness_ms * INT64CONST(1000);

		if (!node_freshness_position(since_us, &bound))
			bound = commit_position_bound();
		wanted = position_max(wanted, bound);
	}
	if (requirement->max_lag >= 0)
	{
		bound = commit_position_bound();
		bound.lsn = bound.lsn > requirement->max_lag ? bound.lsn - requirement->max_lag : 1;
		wanted = position_max(wanted, bound);
	}
	return wanted;
}

/* The nodes but those that couldn't be connected to a moment ago. */
static int
usable_nodes(NodeInfo *nodes)
{
	int			nnodes = node_state_snapshot(nodes, NODE_STATE_MAX_NODES);

	for (int i = 0; i < nnodes;)
	{
		if (connection_is_backing_off(nodes[i].serverid,
									  node_connection_user(nodes[i].serverid)))
			nodes[i] = nodes[--nnodes];
		else
			i++;
	}
	return nnodes;
}

/* Choose a node and go there; its index, or -1 if none will do. */
static int
pick(Route *route, NodeInfo *nodes, int nnodes, const NodeWish *wish)
{
	static uint32 turn = 0;

	turn++;
	for (;;)
	{
		NodeVerdict verdict;
		int			chosen = node_choice_pick(nodes, nnodes, wish, turn, &verdict);

		route->reason = node_choice_text(verdict);
		if (chosen < 0)
		{
			route->fallback = verdict == NODE_CHOICE_NONE_UP ? FALLBACK_NO_REPLICA : FALLBACK_LAG;
			return -1;
		}
		go_to(route, &nodes[chosen]);
		if (route->remote)
			return chosen;
		/* It was dropped, and the picture doesn't show that yet. */
		nodes[chosen] = nodes[--nnodes];
	}
}

static void
go_to(Route *route, const NodeInfo *node)
{
	route->node = *node;
	route->node_name = node_catalog_name(node->serverid);
	route->remote = route->node_name != NULL;
}

/*
 * What a node is told to keep.  It must not send the read on, nor answer stale;
 * the policies of tables it finds by itself.
 *
 * A bound means something only where the node isn't the primary, which is fresh
 * by nature; so "bounded", with the session's guarantees, says all that is
 * demanded of a replica.
 *
 * What a quorum of nodes has told is a position that the node must show, as the
 * token says; so it must be told to heed the token.  Nodes that weren't asked here
 * it asks itself.
 */
static RemotePromise
promise_of(const Declaration *declaration)
{
	bool		bounded = (declaration->max_staleness_ms >= 0 || declaration->max_lag >= 0) &&
	!declaration->leader && !(declaration->prefix && RecoveryInProgress());
	bool		gathered = declaration->read_quorum.gathered > 0;
	RemotePromise promise;
	ConsistencyLevel level = gathered ? Max(declaration->level, LEVEL_SESSION) : declaration->level;

	promise = (RemotePromise)
	{
		.level = level_name(bounded ? LEVEL_BOUNDED : level),
			.keeps_session = bounded && (declaration->own_context || gathered),
			.max_staleness_ms = declaration->max_staleness_ms,
			.max_lag = declaration->max_lag,
			.on_timeout = guc_on_timeout_name(ON_TIMEOUT_ERROR),
			.require_fence = guc_require_leader_fence,
	};
	strlcpy(promise.read_quorum, gathered ? "one" :
			read_quorum_text(&declaration->read_quorum, node_state_members()),
			sizeof(promise.read_quorum));
	return promise;
}

/* Why the read must stay whatever the nodes are like; NULL: it needn't. */
static const char *
reason_to_stay(void)
{
	if (RecoveryInProgress())
		return "this server is a replica";
	if (!nesting_may_leave(true))
		return "statement is part of another one";
	if (guc_routing == ROUTING_OFF)
		return "consistency.routing is off";
	if (IsolationUsesXactSnapshot())
		return "transaction keeps its snapshot";
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return "transaction has written";
	return NULL;
}
