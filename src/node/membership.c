/*-------------------------------------------------------------------------
 *
 * membership.c
 *	  A transaction changes which nodes there are.
 *
 * Quorums count the nodes in the shared table.  The readers write it some time
 * after the catalogs have changed; that is soon enough to choose a node, but a
 * commit that is acknowledged by a majority of the old nodes must not come behind
 * a change that makes it a minority.  So who changes servers writes the table
 * itself, when it has committed and before anybody is told.  Changes come one
 * after the other: they hold a lock on the catalog from ahead of the commit until
 * the table is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_foreign_server.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "node/membership.h"
#include "node/node_catalog.h"
#include "node/node_reader.h"

/* In the current transaction */
static bool servers_changed = false;
static NodeDeclaration *declared = NULL;	/* what it leaves; NULL: not read */
static int	num_declared;

static object_access_hook_type prev_object_access_hook = NULL;

static void consistency_object_access(ObjectAccessType access, Oid classId, Oid objectId,
									  int subId, void *arg);
static bool differs(void);

/* Only while the library is being preloaded. */
void
membership_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = consistency_object_access;
}

/* Has the transaction touched a server? */
bool
membership_may_change(void)
{
	return servers_changed;
}

/*
 * membership_prepare
 *		The transaction is about to commit: find out which nodes it leaves.
 *		Returns their number; -1 if they are those that there were.
 */
int
membership_prepare(void)
{
	MemoryContext old;

	LockRelationOid(ForeignServerRelationId, ShareUpdateExclusiveLock);
	old = MemoryContextSwitchTo(TopTransactionContext);
	declared = node_reader_declared(&num_declared);
	MemoryContextSwitchTo(old);
	if (differs())
		return node_catalog_members();
	membership_forget();
	return -1;
}

/* It has committed: those are the nodes from now on.  Never errors out. */
void
membership_publish(void)
{
	if (declared)
		(void) node_table_declare(MyDatabaseId, declared, num_declared, 0);
	membership_forget();
}

/* The transaction is over. */
void
membership_forget(void)
{
	servers_changed = false;
	declared = NULL;
}

static void
consistency_object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId,
						  void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);
	if (classId == ForeignServerRelationId && MyBackendType == B_BACKEND &&
		(access == OAT_POST_CREATE || access == OAT_POST_ALTER || access == OAT_DROP))
		servers_changed = true;
}

/* Is a node declared now that isn't in the shared table, or the other way round? */
static bool
differs(void)
{
	bool		found[NODE_STATE_MAX_NODES] = {false};
	bool		result = false;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < num_declared && !result; i++)
	{
		int			slot = node_table_find(declared[i].host, declared[i].port);

		if (slot < 0 || !node_table_declares(MyDatabaseId, slot))
			result = true;
		else
			found[slot] = true;
	}
	for (int slot = 0; slot < NODE_STATE_MAX_NODES && !result; slot++)
		result = !found[slot] && node_table_declares(MyDatabaseId, slot);
	LWLockRelease(&node_table->lock);
	return result;
}
