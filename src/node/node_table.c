/*-------------------------------------------------------------------------
 *
 * node_table.c
 *	  Upkeep of the shared table: what the monitor and the readers write.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"

#include "node/node_table.h"

#define RATE_MEMORY_US 10e6

static bool forget_servers(Oid dbid);
static void add_server(Oid dbid, const NodeDeclaration *declared);
static int	use_node(const char *host, const char *port);
static void free_unused_nodes(void);
static void bump_generation(void);
static void note_rate(SharedNode *node, const NodeHeartbeat *heartbeat, int64 now);
static bool starts_secret(const char *text);

/*
 * node_table_set_error
 *		Copy a message to error (NODE_ERROR_SIZE bytes) as it may be shown.
 *
 * Only the first line, and only up to anything that looks like a part of a
 * connection string: libpq quotes those it can't parse.
 */
void
node_table_set_error(char *error, const char *message)
{
	int			n = 0;

	while (n < NODE_ERROR_SIZE - 1 && message[n] != '\0' &&
		   message[n] != '\n' && message[n] != '\r' && !starts_secret(message + n))
	{
		error[n] = message[n];
		n++;
	}
	error[n] = '\0';
}

static bool
starts_secret(const char *text)
{
	return pg_strncasecmp(text, "password=", 9) == 0 ||
		pg_strncasecmp(text, "password =", 10) == 0 ||
		strncmp(text, "://", 3) == 0;
}

/*
 * node_table_declare
 *		These are the servers of a database now; replaces what was known.
 *
 * Nodes that stay declared, here or in another database, keep their state;
 * those that no server refers to any more are forgotten.
 *
 * What was read while the table had a certain generation (0: it doesn't matter)
 * isn't written if it has another one by now: the caller may have read what has
 * changed since.  False then.
 */
bool
node_table_declare(Oid dbid, const NodeDeclaration *declared, int ndeclared, uint32 as_of)
{
	bool		had_servers;

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (as_of != 0 && pg_atomic_read_u32(&node_table->generation) != as_of)
	{
		LWLockRelease(&node_table->lock);
		return false;
	}
	had_servers = forget_servers(dbid);
	if (had_servers || ndeclared > 0)
	{
		for (int i = 0; i < ndeclared; i++)
			add_server(dbid, &declared[i]);
		free_unused_nodes();
		bump_generation();
	}
	LWLockRelease(&node_table->lock);
	return true;
}

/* Drop the servers of a database; were there any?  Under lock. */
static bool
forget_servers(Oid dbid)
{
	bool		any = false;

	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		SharedServer *server = &node_table->servers[i];

		if (server->dbid == dbid)
		{
			memset(server, 0, sizeof(*server));
			any = true;
		}
	}
	return any;
}

/* Add a server to the first free place, if there is one.  Under lock. */
static void
add_server(Oid dbid, const NodeDeclaration *declared)
{
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		SharedServer *server = &node_table->servers[i];

		if (OidIsValid(server->dbid))
			continue;

		server->dbid = dbid;
		server->serverid = declared->serverid;
		server->password_required = declared->password_required;
		strlcpy(server->conninfo, declared->conninfo, sizeof(server->conninfo));
		strlcpy(server->error, declared->error, sizeof(server->error));
		server->slot = use_node(declared->host, declared->port);
		if (server->slot < 0)
			snprintf(server->error, sizeof(server->error),
					 "more than %d nodes are declared", NODE_STATE_MAX_NODES);
		return;
	}
}

/* The slot of the node at an address, or -1.  Under lock. */
int
node_table_find(const char *host, const char *port)
{
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		const SharedNode *node = &node_table->nodes[i];

		if (node->used && strcmp(node->host, host) == 0 &&
			strcmp(node->port, port) == 0)
			return i;
	}
	return -1;
}

/* Does a database declare the node in that slot?  Under lock. */
bool
node_table_declares(Oid dbid, int slot)
{
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		if (node_table->servers[i].dbid == dbid && node_table->servers[i].slot == slot)
			return true;
	}
	return false;
}

/*
 * node_table_members
 *		The nodes that a database declares: writes their slots, each once however
 *		many servers declare it, and returns their number.  Under lock.
 */
int
node_table_members(Oid dbid, int *slots)
{
	bool		declared[NODE_STATE_MAX_NODES] = {false};
	int			n = 0;

	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *server = &node_table->servers[i];

		if (OidIsValid(server->dbid) && server->dbid == dbid && server->slot >= 0)
			declared[server->slot] = true;
	}
	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
	{
		if (declared[slot])
			slots[n++] = slot;
	}
	return n;
}

/* The slot of the node at an address, given a free one if there is none yet; -1 if all are taken. */
static int
use_node(const char *host, const char *port)
{
	int			slot = node_table_find(host, port);

	for (int i = 0; i < NODE_STATE_MAX_NODES && slot < 0; i++)
	{
		SharedNode *node = &node_table->nodes[i];

		if (node->used)
			continue;

		slot = i;
		node->used = true;
		node->generation++;
		strlcpy(node->host, host, sizeof(node->host));
		strlcpy(node->port, port, sizeof(node->port));
		node->self = false;
		node->instance = 0;
		node->caught_up = false;
		node->health = NODE_UNKNOWN;
		node->role = NODE_ROLE_UNKNOWN;
		node->position = POSITION_NONE;
		node->vote = POSITION_NONE;
		node->voted_us = 0;
		node->lag_us = -1;
		node->heartbeat_us = 0;
		node->round_trip_us = 0;
		node->replay_rate = -1;
		node->counters = node_counters_use(host, port);
		node->error[0] = '\0';
		pg_atomic_write_u64(&node->load, ((uint64) node->generation) << 32);
	}
	return slot;
}

/* Free the slots of nodes that no server refers to.  Under lock. */
static void
free_unused_nodes(void)
{
	bool		referred[NODE_STATE_MAX_NODES] = {false};

	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *server = &node_table->servers[i];

		if (OidIsValid(server->dbid) && server->slot >= 0)
			referred[server->slot] = true;
	}
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		SharedNode *node = &node_table->nodes[i];

		if (referred[i] || !node->used)
			continue;
		node->used = false;
		node->counters->used = false;
	}
}

/* Tell everybody that what is declared has changed.  Under lock. */
static void
bump_generation(void)
{
	pg_atomic_fetch_add_u32(&node_table->generation, 1);
}

/* The databases that declare nodes, as a list of OIDs. */
List *
node_table_databases(void)
{
	Oid			dbids[NODE_STATE_MAX_SERVERS];
	List	   *result = NIL;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
		dbids[i] = node_table->servers[i].dbid;
	LWLockRelease(&node_table->lock);

	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		if (OidIsValid(dbids[i]))
			result = list_append_unique_oid(result, dbids[i]);
	}
	return result;
}

/*
 * node_table_request
 *		Ask the monitor to read what a database declares.
 *
 * Never errors out: it is called when a transaction has just committed.
 */
void
node_table_request(Oid dbid)
{
	bool		known = false;

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < node_table->nrequests && !known; i++)
		known = node_table->requests[i] == dbid;
	if (!known)
	{
		if (node_table->nrequests < NODE_MAX_REQUESTS)
			node_table->requests[node_table->nrequests++] = dbid;
		else
			node_table->request_all = true;
	}
	if (node_table->monitor)
		SetLatch(node_table->monitor);
	LWLockRelease(&node_table->lock);
}

/*
 * node_table_take_requests
 *		The databases that asked, as a list of OIDs, and in *all whether
 *		others did as well.  They are taken off.
 */
List *
node_table_take_requests(bool *all)
{
	Oid			dbids[NODE_MAX_REQUESTS];
	int			n;
	List	   *result = NIL;

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	n = node_table->nrequests;
	memcpy(dbids, node_table->requests, n * sizeof(Oid));
	*all = node_table->request_all;
	node_table->nrequests = 0;
	node_table->request_all = false;
	LWLockRelease(&node_table->lock);

	for (int i = 0; i < n; i++)
		result = lappend_oid(result, dbids[i]);
	return result;
}

/* The monitor runs, and is woken by this latch. */
void
node_table_attach_monitor(Latch *latch)
{
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	node_table->monitor = latch;
	LWLockRelease(&node_table->lock);
}

/* The monitor ends: nobody knows any more that a node is up. */
void
node_table_detach_monitor(void)
{
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	node_table->monitor = NULL;
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		SharedNode *node = &node_table->nodes[i];

		if (node->used && node->health == NODE_UP)
		{
			node->health = NODE_UNKNOWN;
			node->lag_us = -1;
		}
	}
	LWLockRelease(&node_table->lock);
}

/*
 * node_table_follow_timeline
 *		Tell the history the highest timeline that anybody is on, ourselves
 *		among them.  Under lock.
 */
void
node_table_follow_timeline(void)
{
	TimeLineID	highest;

	if (RecoveryInProgress())
		(void) GetXLogReplayRecPtr(&highest);
	else
		highest = GetWALInsertionTimeLine();

	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		const SharedNode *node = &node_table->nodes[i];

		if (node->used)
			highest = Max(highest, node->position.tli);
	}
	node_lag_set_timeline(&node_table->history, highest);
}

/*
 * node_table_heartbeat
 *		A node answered in time: write what it said.
 */
void
node_table_heartbeat(int slot, uint32 generation, const NodeHeartbeat *heartbeat)
{
	SharedNode *node = &node_table->nodes[slot];
	int64		now = node_clock_us();
	bool		news = false;

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (node->used && node->generation == generation)
	{
		if (node->self != heartbeat->self || node->instance != heartbeat->instance)
		{
			node->self = heartbeat->self;
			node->instance = heartbeat->instance;
			bump_generation();
		}
		node->caught_up = heartbeat->caught_up;
		if (node->health != NODE_UP || node->role != heartbeat->role)
			node_counters_count_change(node->counters);
		node->health = NODE_UP;
		node->role = heartbeat->role;
		note_rate(node, heartbeat, now);

		/*
		 * A backend may have heard of a higher position since.  Only a server
		 * that has been replaced or restarted can have gone back.
		 */
		node->position = heartbeat->first ? heartbeat->position :
			position_max(node->position, heartbeat->position);
		node->vote = heartbeat->position;
		node->voted_us = heartbeat->caught_up ? heartbeat->asked_us : 0;
		node_table_follow_timeline();
		if (heartbeat->role == NODE_PRIMARY)
		{
			news = node_lag_add(&node_table->history, heartbeat->asked_us,
								heartbeat->position);
			node->lag_us = 0;
		}
		else
			node->lag_us = node_lag_of(&node_table->history, heartbeat->position, now);
		node->heartbeat_us = now;
		node->round_trip_us = now - heartbeat->asked_us;
		node->error[0] = '\0';
	}
	LWLockRelease(&node_table->lock);

	if (news)
		ConditionVariableBroadcast(&node_table->answered);
	ConditionVariableBroadcast(&node_table->voted);
}

/*
 * How fast a node's position moves: the mean of what heartbeats tell, in which
 * each counts for the less the longer ago it was, by e in RATE_MEMORY_US.
 * Under lock.
 */
static void
note_rate(SharedNode *node, const NodeHeartbeat *heartbeat, int64 now)
{
	double		passed_us = now - node->heartbeat_us;
	double		rate;
	double		weight;

	if (heartbeat->first || node->heartbeat_us == 0 || passed_us <= 0 ||
		node->position.tli != heartbeat->position.tli)
	{
		node->replay_rate = -1;
		return;
	}
	rate = heartbeat->position.lsn <= node->position.lsn ? 0 :
		(heartbeat->position.lsn - node->position.lsn) * 1e6 / passed_us;
	weight = passed_us / (passed_us + RATE_MEMORY_US);
	node->replay_rate = node->replay_rate < 0 ? rate :
		node->replay_rate + (rate - node->replay_rate) * weight;
}

/* Nobody watches this node any more: what was known of its health is old. */
void
node_table_unmonitored(int slot, uint32 generation)
{
	SharedNode *node = &node_table->nodes[slot];

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (node->used && node->generation == generation)
	{
		node->health = NODE_UNKNOWN;
		node->lag_us = -1;
		node->error[0] = '\0';
	}
	LWLockRelease(&node_table->lock);
}

/* The generation of the node in a slot, or 0 if the slot is free. */
uint32
node_table_node(int slot)
{
	SharedNode *node = &node_table->nodes[slot];
	uint32		generation;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	generation = node->used ? node->generation : 0;
	LWLockRelease(&node_table->lock);
	return generation;
}

/*
 * node_table_conninfo
 *		How the monitor may connect to the node in a slot.
 *
 * Each server that declares it may say how.  Returns how many do.  Of these,
 * the one numbered "which" modulo that is copied to conninfo
 * (NODE_CONNINFO_SIZE bytes) and *password_required.
 */
int
node_table_conninfo(int slot, uint32 which, char *conninfo, bool *password_required)
{
	int			found[NODE_STATE_MAX_SERVERS];
	int			n = 0;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *server = &node_table->servers[i];

		if (OidIsValid(server->dbid) && server->slot == slot &&
			server->conninfo[0] != '\0')
			found[n++] = i;
	}
	if (n > 0)
	{
		const SharedServer *server = &node_table->servers[found[which % (uint32) n]];

		strlcpy(conninfo, server->conninfo, NODE_CONNINFO_SIZE);
		*password_required = server->password_required;
	}
	LWLockRelease(&node_table->lock);
	return n;
}

/* Does a server still say that the node in a slot is reached like this? */
bool
node_table_has_conninfo(int slot, const char *conninfo)
{
	bool		found = false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS && !found; i++)
	{
		const SharedServer *server = &node_table->servers[i];

		found = OidIsValid(server->dbid) && server->slot == slot &&
			server->conninfo[0] != '\0' && strcmp(server->conninfo, conninfo) == 0;
	}
	LWLockRelease(&node_table->lock);
	return found;
}
