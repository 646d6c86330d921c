/*-------------------------------------------------------------------------
 *
 * node_members.c
 *	  Does the shared picture have the nodes that the catalogs declare?
 *
 * How many nodes make a quorum depends on how many there are.  The picture is
 * read from the catalogs a moment after they have changed, and at a replica
 * perhaps later; who counts nodes can't be content with it as it is.
 *
 * The catalogs are looked at only after something has changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "node/node_catalog.h"
#include "node/node_members.h"
#include "node/node_table.h"

/* counts the changes of servers, as far as this session has heard of them */
static uint32 version = 1;

static void servers_changed(Datum arg, int cacheid, uint32 hashvalue);
static bool compare(void);
static bool is_in_table(const ForeignServer *server);

/* Only while the library is being preloaded. */
void
node_members_init(void)
{
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, servers_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, servers_changed, (Datum) 0);
}

static void
servers_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	version++;
}

/* Changes whenever the declared nodes may have. */
uint32
node_members_version(void)
{
	return version;
}

/*
 * node_members_are_known
 *		Is what this database declares, by its catalogs, what the shared table
 *		has?
 */
bool
node_members_are_known(void)
{
	static uint32 known_version = 0;
	static uint32 known_generation = 0;
	static bool known = false;
	uint32		generation;
	uint32		version_before;

	if (node_table == NULL)
		return false;
	generation = pg_atomic_read_u32(&node_table->generation);
	if (likely(known_version == version && known_generation == generation))
		return known;

	version_before = version;
	known = compare();
	known_version = version_before;
	known_generation = generation;
	return known;
}

static bool
compare(void)
{
	List	   *servers = node_catalog_servers();
	bool		same = true;
	int			n = 0;
	ListCell   *cell;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		if (OidIsValid(node_table->servers[i].dbid) &&
			node_table->servers[i].dbid == MyDatabaseId)
			n++;
	}
	foreach(cell, servers)
		same = same && is_in_table(lfirst(cell));
	LWLockRelease(&node_table->lock);
	return same && n == list_length(servers);
}

/* With the same address?  Under lock. */
static bool
is_in_table(const ForeignServer *server)
{
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *shared = &node_table->servers[i];

		if (shared->dbid == MyDatabaseId && shared->serverid == server->serverid)
			return shared->slot >= 0 &&
				strcmp(node_table->nodes[shared->slot].host, node_catalog_host(server)) == 0 &&
				strcmp(node_table->nodes[shared->slot].port, node_catalog_port(server)) == 0;
	}
	return false;
}
