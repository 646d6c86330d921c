/*-------------------------------------------------------------------------
 *
 * node_watch.c
 *	  Notices in a session that the nodes declared have changed.
 *
 * At a primary the session that changes a server, a mapping or the wrapper
 * knows it by the object access hook.  (Catalog invalidations don't serve:
 * the session that runs CREATE SERVER in a transaction of its own gets them
 * only in its next one, if any, and every other session gets them as well.)
 * At a replica, where the change is replayed, invalidations are all there is.
 *
 * Once a transaction has committed, the monitor is asked to read the
 * database anew; before, it wouldn't see the change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "node/node_table.h"
#include "node/node_watch.h"

/* Something that declares nodes may have changed since the last commit. */
static bool changed = false;

static object_access_hook_type prev_object_access_hook = NULL;

static void consistency_object_access(ObjectAccessType access, Oid classId,
									  Oid objectId, int subId, void *arg);
static void catalog_invalidated(Datum arg, int cacheid, uint32 hashvalue);
static void transaction_ended(XactEvent event, void *arg);

/* Only while the library is being preloaded. */
void
node_watch_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = consistency_object_access;
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, catalog_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalog_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, catalog_invalidated, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
}

static void
consistency_object_access(ObjectAccessType access, Oid classId, Oid objectId,
						  int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if ((access == OAT_POST_CREATE || access == OAT_POST_ALTER || access == OAT_DROP) &&
		(classId == ForeignServerRelationId ||
		 classId == UserMappingRelationId ||
		 classId == ForeignDataWrapperRelationId))
		changed = true;
}

/* A hash value of 0 means that messages were lost, not that there was one. */
static void
catalog_invalidated(Datum arg, int cacheid, uint32 hashvalue)
{
	if (hashvalue != 0 && OidIsValid(MyDatabaseId) && RecoveryInProgress())
		changed = true;
}

static void
transaction_ended(XactEvent event, void *arg)
{
	if (likely(!changed))
		return;

	if (event == XACT_EVENT_COMMIT)
	{
		changed = false;
		node_table_request(MyDatabaseId);
	}
	else if (event == XACT_EVENT_ABORT && !RecoveryInProgress())
		changed = false;
}
