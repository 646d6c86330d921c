/*-------------------------------------------------------------------------
 *
 * forward_release.c
 *	  Gives back what this replica holds for a statement while the primary works.
 *
 * To analyse a statement takes a snapshot and locks, which nothing here needs
 * once it was sent.  But replay may need them to be gone: to remove rows, or to
 * change a table.  A statement can take long over there, and its commit may even
 * wait for this replica's replay.
 *
 * What open cursors of the client need is kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "exec/forward_release.h"
#include "exec/nesting.h"

static void release_hold_snapshot(ForwardRelease *given);
static void release_locks(void);
static void release_locks_of(ResourceOwner owner);

/*
 * forward_release_query
 *		Give back the snapshots of a query that is about to be run by its portal,
 *		and all locks.
 */
ForwardRelease
forward_release_query(QueryDesc *queryDesc)
{
	ForwardRelease given = {0};

	if (!IsolationUsesXactSnapshot() && ActivePortal != NULL && ActiveSnapshotSet())
	{
		given.active = true;
		PopActiveSnapshot();
		UnregisterSnapshot(queryDesc->estate->es_snapshot);
		UnregisterSnapshot(queryDesc->snapshot);
		queryDesc->estate->es_snapshot = queryDesc->snapshot = InvalidSnapshot;
		release_hold_snapshot(&given);
		InvalidateCatalogSnapshot();
	}
	release_locks();
	return given;
}

/* Take others for those that were given back: whoever made them will end them. */
void
forward_retake_query(QueryDesc *queryDesc, ForwardRelease given)
{
	Snapshot	snapshot;

	if (!given.active)
		return;
	snapshot = GetTransactionSnapshot();
	if (given.hold)
		snapshot = ActivePortal->holdSnapshot = RegisterSnapshotOnOwner(snapshot,
																		ActivePortal->resowner);

	/*
	 * A copy: that of several queries of a statement is changed from one to
	 * the next.
	 */
	PushCopiedSnapshot(snapshot);
	queryDesc->snapshot = RegisterSnapshot(GetActiveSnapshot());
	queryDesc->estate->es_snapshot = RegisterSnapshot(queryDesc->snapshot);
}

/*
 * forward_release_portal
 *		The same for a utility statement.  Its portal doesn't miss the snapshots.
 */
void
forward_release_portal(void)
{
	ForwardRelease given;

	if (ActivePortal != NULL && !IsolationUsesXactSnapshot())
	{
		if (ActivePortal->portalSnapshot && ActivePortal->portalSnapshot == GetActiveSnapshot())
		{
			PopActiveSnapshot();
			ActivePortal->portalSnapshot = NULL;
		}
		release_hold_snapshot(&given);
		InvalidateCatalogSnapshot();
	}
	release_locks();
}

/*
 * forward_release_commit
 *		The same while the primary commits the transaction, which will need nothing
 *		here any more.  True.
 */
bool
forward_release_commit(void)
{
	InvalidateCatalogSnapshot();
	release_locks();
	return true;
}

/* For out-of-line values in the result, of which there are none. */
static void
release_hold_snapshot(ForwardRelease *given)
{
	given->hold = ActivePortal->holdSnapshot != NULL;
	if (!given->hold)
		return;
	UnregisterSnapshotFromOwner(ActivePortal->holdSnapshot, ActivePortal->resowner);
	ActivePortal->holdSnapshot = NULL;
}

/*
 * Give all locks of the transaction back, unless a cursor needs some.
 *
 * What EXECUTE runs has a portal of its own, beside that of EXECUTE, which took
 * locks for the plan.
 */
static void
release_locks(void)
{
	Portal		utility = nesting_utility_portal();

	if (nesting_executions > 0)
		return;
	if (utility != NULL)
		release_locks_of(utility->resowner);
	release_locks_of(CurrentResourceOwner);
}

/* Give the locks of a resource owner back, and of those that it is part of. */
static void
release_locks_of(ResourceOwner owner)
{
	ResourceOwner current = CurrentResourceOwner;

	for (; owner != NULL; owner = ResourceOwnerGetParent(owner))
	{
		CurrentResourceOwner = owner;
		LockReleaseCurrentOwner(NULL, 0);
	}
	CurrentResourceOwner = current;
}
