/*-------------------------------------------------------------------------
 *
 * node_counters.c
 *	  What was counted of each node; it outlives crashes and restarts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "core/kept.h"
#include "node/node_counters.h"
#include "node/node_state.h"

/* NODE_STATE_MAX_NODES of them; NULL without preload */
static NodeCounters *all_counters = NULL;

static NodeCounters *find(const char *host, const char *port);

/* Only while the library is being preloaded. */
void
node_counters_init(void)
{
	all_counters = kept_register("nodes", NODE_STATE_MAX_NODES * sizeof(NodeCounters));
}

/* No node is declared yet: the table is being set up. */
void
node_counters_unuse_all(void)
{
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
		all_counters[i].used = false;
}

/*
 * node_counters_use
 *		The counters of the node at an address, which is declared now.
 *
 * There are as many as there can be nodes: one that isn't declared any more
 * makes room.
 */
NodeCounters *
node_counters_use(const char *host, const char *port)
{
	NodeCounters *counters = find(host, port);

	for (int i = 0; i < NODE_STATE_MAX_NODES && counters == NULL; i++)
	{
		if (all_counters[i].used)
			continue;
		counters = &all_counters[i];
		memset(counters, 0, sizeof(*counters));
		strlcpy(counters->host, host, sizeof(counters->host));
		strlcpy(counters->port, port, sizeof(counters->port));
	}
	Assert(counters);
	counters->used = true;
	return counters;
}

/* A connection or a statement failed there. */
void
node_counters_count_error(NodeCounters *counters, const char *error)
{
	counters->errors++;
	counters->last_error_at = GetCurrentTimestamp();
	strlcpy(counters->last_error, error, sizeof(counters->last_error));
}

/* It went up or down, or became a primary or a replica. */
void
node_counters_count_change(NodeCounters *counters)
{
	counters->state_changes++;
	counters->last_state_change_at = GetCurrentTimestamp();
}

/* Begin to count from zero. */
void
node_counters_reset(void)
{
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		NodeCounters *counters = &all_counters[i];

		pg_atomic_write_u64(&counters->requests, 0);
		counters->errors = counters->state_changes = 0;
		counters->last_error_at = counters->last_state_change_at = 0;
		counters->last_error[0] = '\0';
	}
}

static NodeCounters *
find(const char *host, const char *port)
{
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		NodeCounters *counters = &all_counters[i];

		if (strncmp(counters->host, host, sizeof(counters->host)) == 0 &&
			strncmp(counters->port, port, sizeof(counters->port)) == 0)
			return counters;
	}
	return NULL;
}
