/*-------------------------------------------------------------------------
 *
 * node_state.c
 *	  The picture of the cluster, as routers use it.
 *
 * Everything here is called in the course of users' queries, so it takes the
 * lock of the table shared and briefly, or not at all.  A caller names a node
 * by slot and generation as a snapshot gave them; when the slot has been given
 * to another node in between, the call does nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "portability/instr_time.h"

#include "core/shmem.h"
#include "node/node_table.h"

#define LOAD_GENERATION(load)	((uint32) ((load) >> 32))
#define LOAD_STATEMENTS(load)	((uint32) (load))

NodeTable  *node_table = NULL;

static void setup_table(void *segment);
static bool find_other_node(void);
static const SharedServer *our_server(int i);
static NodeInfo node_info(const SharedServer *server);
static void add_load(int slot, uint32 generation, int delta);
static void note_error(int slot, uint32 generation, const char *message, bool down);
static void set_down(SharedNode *node, const char *error);

/* Ask for the shared table.  Only while the library is being preloaded. */
void
node_state_init(void)
{
	shmem_register("consistency nodes", sizeof(NodeTable), 0,
				   (void **) &node_table, setup_table);
}

/* Fill the zeroed segment. */
static void
setup_table(void *segment)
{
	NodeTable  *table = segment;

	table->tranche = LWLockNewTrancheId();
	LWLockRegisterTranche(table->tranche, "consistency nodes");
	LWLockInitialize(&table->lock, table->tranche);
	pg_atomic_init_u32(&table->generation, 1);
	ConditionVariableInit(&table->answered);
	ConditionVariableInit(&table->voted);
	pg_atomic_init_u64(&table->votes_wanted_us, 0);
	pg_atomic_init_u64(&table->votes_requested_us, 0);
	pg_atomic_init_u32(&table->votes_woken, 0);
	table->wanted_us = table->requested_us = PG_INT64_MIN;
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
		pg_atomic_init_u64(&table->nodes[i].load, 0);
	node_counters_unuse_all();

	if (!pg_strong_random(&table->instance, sizeof(table->instance)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random instance id")));
}

/*
 * Microseconds of a clock that never goes back and that all processes of
 * this machine share.
 */
int64
node_clock_us(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/*
 * node_state_routable
 *		Does this database declare a node that could serve its reads?
 *
 * That is one that can be monitored and isn't known to be ourselves.  Called
 * for every query that is planned: an atomic read and a comparison, unless
 * what is declared has changed since the last call.
 */
bool
node_state_routable(void)
{
	static uint32 seen_generation = 0;
	static bool routable = false;

	if (node_table == NULL)
		return false;

	if (unlikely(pg_atomic_read_u32(&node_table->generation) != seen_generation))
	{
		LWLockAcquire(&node_table->lock, LW_SHARED);
		seen_generation = pg_atomic_read_u32(&node_table->generation);
		routable = find_other_node();
		LWLockRelease(&node_table->lock);
	}
	return routable;
}

/* The slow part of node_state_routable; under lock. */
static bool
find_other_node(void)
{
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *server = our_server(i);

		if (server && server->conninfo[0] != '\0' &&
			!node_table->nodes[server->slot].self)
			return true;
	}
	return false;
}

/*
 * The i-th server in the table, if it declares a node in this database;
 * otherwise NULL.  Under lock.
 */
static const SharedServer *
our_server(int i)
{
	const SharedServer *server = &node_table->servers[i];

	if (!OidIsValid(server->dbid) || server->dbid != MyDatabaseId || server->slot < 0)
		return NULL;
	return server;
}

/* What is known of the node that a server declares.  Under lock. */
static NodeInfo
node_info(const SharedServer *server)
{
	SharedNode *node = &node_table->nodes[server->slot];

	return (NodeInfo)
	{
		.serverid = server->serverid,
			.slot = server->slot,
			.generation = node->generation,
			.self = node->self,
			.health = node->health,
			.role = node->role,
			.position = node->position,
			.caught_up = node->caught_up,
			.lag_us = node->lag_us,
			.heartbeat_us = node->heartbeat_us,
			.asked_us = node->heartbeat_us - node->round_trip_us,
			.load = (int) LOAD_STATEMENTS(pg_atomic_read_u64(&node->load)),
	};
}

/*
 * node_state_snapshot
 *		Copy what is known about the nodes that this database declares.
 *
 * Writes up to max entries into nodes and returns their number.
 */
int
node_state_snapshot(NodeInfo *nodes, int max)
{
	int			n = 0;

	if (node_table == NULL)
		return 0;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS && n < max; i++)
	{
		const SharedServer *server = our_server(i);

		if (server)
			nodes[n++] = node_info(server);
	}
	LWLockRelease(&node_table->lock);
	return n;
}

/*
 * node_state_members
 *		How many nodes this database declares, be they up or not; a node with
 *		several server objects counts once.
 */
int
node_state_members(void)
{
	int			slots[NODE_STATE_MAX_NODES];
	int			n;

	if (node_table == NULL)
		return 0;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	n = node_table_members(MyDatabaseId, slots);
	LWLockRelease(&node_table->lock);
	return n;
}

/*
 * node_state_primary
 *		The other node that is the primary, as far as we know.
 *
 * It must be up, declared in this database, and on the highest timeline that
 * anybody is on: one on a lower timeline was replaced.  False if there is
 * none.
 */
bool
node_state_primary(NodeInfo *node)
{
	bool		found = false;

	if (node_table == NULL)
		return false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS && !found; i++)
	{
		const SharedServer *server = our_server(i);

		if (server == NULL)
			continue;
		*node = node_info(server);
		found = !node->self && node->health == NODE_UP && node->role == NODE_PRIMARY &&
			node->position.tli >= node_table->history.timeline;
	}
	LWLockRelease(&node_table->lock);
	return found;
}

/*
 * node_state_primary_declared
 *		Does this database declare another node that could be the primary, so
 *		that waiting for its answer makes sense?
 */
bool
node_state_primary_declared(void)
{
	bool		found = false;

	if (node_table == NULL)
		return false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS && !found; i++)
	{
		const SharedServer *server = our_server(i);

		if (server && server->conninfo[0] != '\0')
		{
			const SharedNode *node = &node_table->nodes[server->slot];

			found = !node->self && node->role != NODE_REPLICA;
		}
	}
	LWLockRelease(&node_table->lock);
	return found;
}

/*
 * node_state_request
 *		Have the monitor look at what this database declares: a node that
 *		should be there is missing in the picture.
 */
void
node_state_request(void)
{
	if (node_table != NULL)
		node_table_request(MyDatabaseId);
}

/*
 * node_state_deposed
 *		Have we, a primary, been replaced: is another node of the cluster known
 *		to be the primary of a newer timeline?  *newer is how far that one is.
 *
 * Called often: a comparison, unless somebody is on a newer timeline.
 */
bool
node_state_deposed(Position *newer)
{
	TimeLineID	ours;

	*newer = POSITION_NONE;
	if (node_table == NULL || RecoveryInProgress())
		return false;
	ours = GetWALInsertionTimeLine();
	if (likely(*(volatile TimeLineID *) &node_table->history.timeline <= ours))
		return false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		const SharedNode *node = &node_table->nodes[i];

		if (node->used && !node->self && node->role == NODE_PRIMARY &&
			node->position.tli > ours)
			*newer = position_max(*newer, node->position);
	}
	LWLockRelease(&node_table->lock);
	return position_is_set(*newer);
}

/*
 * node_state_is_down
 *		Is the node known to be down?
 *
 * False for one that isn't declared any more: nobody watches it.  Reads
 * without the lock, being called while a statement waits for the node; the
 * answer may be a moment old.
 */
bool
node_state_is_down(int slot, uint32 generation)
{
	volatile SharedNode *node;

	if (node_table == NULL)
		return false;

	node = &node_table->nodes[slot];
	return node->used && node->generation == generation && node->health == NODE_DOWN;
}

/*
 * node_state_begin_statement, node_state_end_statement
 *		Count a statement in and out of those that run at the node.
 *
 * The caller sees to it that each begin has its end, on errors too.
 */
void
node_state_begin_statement(int slot, uint32 generation)
{
	add_load(slot, generation, 1);
	if (node_table && node_table->nodes[slot].counters)
		pg_atomic_fetch_add_u64(&node_table->nodes[slot].counters->requests, 1);
}

void
node_state_end_statement(int slot, uint32 generation)
{
	add_load(slot, generation, -1);
}

static void
add_load(int slot, uint32 generation, int delta)
{
	pg_atomic_uint64 *load;
	uint64		old;

	if (node_table == NULL)
		return;

	load = &node_table->nodes[slot].load;
	old = pg_atomic_read_u64(load);
	do
	{
		if (LOAD_GENERATION(old) != generation ||
			(delta < 0 && LOAD_STATEMENTS(old) == 0))
			return;
	} while (!pg_atomic_compare_exchange_u64(load, &old, old + (int64) delta));
}

/*
 * node_state_saw_position
 *		A node answered from this position; raise what is known of it.
 */
void
node_state_saw_position(int slot, uint32 generation, Position position)
{
	SharedNode *node;

	if (node_table == NULL)
		return;

	/*
	 * Mostly the heartbeat has told already.  A torn read here only takes the
	 * lock in vain, or leaves the news to the next heartbeat.
	 */
	node = &node_table->nodes[slot];
	if (!position_before(node->position, position))
		return;

	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (node->used && node->generation == generation)
	{
		node->position = position_max(node->position, position);
		if (position.tli > node_table->history.timeline)
			node_lag_set_timeline(&node_table->history, position.tli);
	}
	LWLockRelease(&node_table->lock);
}

/*
 * node_state_saw_lag
 *		A read has waited for a node's replay in vain: it is behind by that
 *		much at least, until the next heartbeat knows better.
 */
void
node_state_saw_lag(int slot, uint32 generation, int64 lag_us)
{
	SharedNode *node;

	if (node_table == NULL)
		return;

	node = &node_table->nodes[slot];
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (node->used && node->generation == generation)
		node->lag_us = Max(node->lag_us, lag_us + 1);
	LWLockRelease(&node_table->lock);
}

/*
 * node_state_saw_error
 *		A statement, or the connection that it was to use, failed at a node.
 */
void
node_state_saw_error(int slot, uint32 generation, const char *message)
{
	note_error(slot, generation, message, false);
}

/* Count from zero. */
void
node_state_reset_counters(void)
{
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	node_counters_reset();
	LWLockRelease(&node_table->lock);
}

/*
 * node_state_saw_failure
 *		A connection to a node failed: take it as down until its next good
 *		heartbeat.
 */
void
node_state_saw_failure(int slot, uint32 generation, const char *message)
{
	note_error(slot, generation, message, true);
}

/*
 * Of the message only the first line is kept, and nothing that could be a
 * password.
 */
static void
note_error(int slot, uint32 generation, const char *message, bool down)
{
	SharedNode *node;
	char		error[NODE_ERROR_SIZE];

	if (node_table == NULL)
		return;

	node_table_set_error(error, message);
	node = &node_table->nodes[slot];
	LWLockAcquire(&node_table->lock, LW_EXCLUSIVE);
	if (node->used && node->generation == generation)
	{
		node_counters_count_error(node->counters, error);
		if (down)
			set_down(node, error);
	}
	LWLockRelease(&node_table->lock);
}

/* Under lock. */
static void
set_down(SharedNode *node, const char *error)
{
	if (node->health != NODE_DOWN)
		node_counters_count_change(node->counters);
	node->health = NODE_DOWN;
	node->lag_us = -1;
	strlcpy(node->error, error, sizeof(node->error));
}
