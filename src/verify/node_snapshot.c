/*-------------------------------------------------------------------------
 *
 * node_snapshot.c
 *	  A replica's snapshot, used at the primary.
 *
 * Two servers show the same state if both look through the same snapshot, and
 * the log is the same up to there.  A replica can't be made to stop at a
 * position of our choice.  But a primary has all that a replica has, and keeps
 * row versions that one of its snapshots may still need.  So:
 *
 *   1. The primary takes a snapshot, its own, and keeps it up to the end of 3.
 *   2. The replica waits until it has replayed all that this one shows, takes a
 *      snapshot, reads with it, and tells what it is.
 *   3. The primary reads with the replica's snapshot.
 *
 * Whoever removed a row version that the replica's snapshot shows was running
 * when the primary took its own one, or began later: otherwise the replica would
 * have replayed his commit by then.  So no vacuum and no pruning has removed it.
 *
 * What the replica's snapshot takes for finished must be so here, or a row's
 * transaction would be taken for an aborted one.  A replica can be ahead of clog
 * here: a commit is replayed there between its flush here and the moment that
 * clog tells of it.  Those few are waited for.  Who is committed in clog, but
 * waits for a synchronous standby, is none of them.
 *
 * Of subtransactions nothing is believed: each is looked up here, and counts as
 * the transaction that it belongs to.  There are too many to wait for; and a node
 * that takes one for finished, being no replica of this server any more, or worse,
 * would have us mark its rows as those of an aborted one while it runs.
 *
 * A transaction whose abort the replica hasn't replayed counts as running there,
 * and its rows are hidden either way.  So the replica's xmin may be lower than
 * ours without meaning anything; and it must not be used, as nothing keeps what
 * is known of subtransactions so old.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "lib/stringinfo.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "core/errors.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "verify/node_snapshot.h"

/* naps while waiting for clog, microseconds */
#define NAP_MIN 50
#define NAP_MAX 10000

static Snapshot parse(const char *text);
static TransactionId parse_xid(const char **text, char end);
static void parse_failed(void) pg_attribute_noreturn();
static void wait_for_clog(Snapshot theirs, Snapshot now, TimestampTz deadline);
static void wait_for_transaction(TransactionId xid, TimestampTz deadline);

/*
 * node_snapshot_text
 *		A replica's snapshot: xmin:xmax:running,running...
 *
 * Subtransactions may be missing: node_snapshot_adopt() doesn't need them.
 */
char *
node_snapshot_text(Snapshot snapshot)
{
	StringInfoData text;

	if (snapshot->snapshot_type != SNAPSHOT_MVCC || !snapshot->takenDuringRecovery)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is not a replica"),
				 errhint("consistency.verify_nodes(), at the primary, asks the replicas.")));
	initStringInfo(&text);
	appendStringInfo(&text, "%u:%u:", snapshot->xmin, snapshot->xmax);
	for (int i = 0; i < snapshot->subxcnt; i++)
		appendStringInfo(&text, "%u,", snapshot->subxip[i]);
	return text.data;
}

/*
 * node_snapshot_adopt
 *		The snapshot of a replica, to scan tables here.
 *
 * "ours" was taken here before the replica waited for all that it shows, and must
 * be held as long as the result is used.
 */
Snapshot
node_snapshot_adopt(const char *text, Snapshot ours, TimestampTz deadline)
{
	Snapshot	theirs = parse(text);

	if (TransactionIdFollows(theirs->xmax, ReadNextTransactionId()))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the node's snapshot knows of transactions that this server hasn't begun"),
				 errdetail("It isn't a replica of this server, or has been one of another timeline.")));
	if (TransactionIdPrecedes(theirs->xmin, ours->xmin))
		theirs->xmin = ours->xmin;
	if (TransactionIdPrecedes(theirs->xmax, theirs->xmin))
		theirs->xmax = theirs->xmin;
	wait_for_clog(theirs, GetLatestSnapshot(), deadline);
	return theirs;
}

static Snapshot
parse(const char *text)
{
	Snapshot	snapshot = palloc0(sizeof(SnapshotData));
	int			room = 1;

	for (const char *c = text; *c; c++)
		room += *c == ',';
	snapshot->snapshot_type = SNAPSHOT_MVCC;
	snapshot->takenDuringRecovery = true;
	snapshot->curcid = FirstCommandId;
	snapshot->xmin = parse_xid(&text, ':');
	snapshot->xmax = parse_xid(&text, ':');
	snapshot->suboverflowed = true; /* look up subtransactions */

	snapshot->subxip = palloc(sizeof(TransactionId) * room);
	while (*text)
		snapshot->subxip[snapshot->subxcnt++] = parse_xid(&text, ',');
	return snapshot;
}

/* A transaction id and what ends it, both taken off. */
static TransactionId
parse_xid(const char **text, char end)
{
	char	   *rest;
	unsigned long value;

	errno = 0;
	value = strtoul(*text, &rest, 10);
	if (rest == *text ||*rest != end || errno != 0 || value > MaxTransactionId ||
		value < FirstNormalTransactionId)
		parse_failed();
	*text = rest + 1;
	return (TransactionId) value;
}

static void
parse_failed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("the node's answer has no snapshot that can be read"),
			 errhint("Nodes need the same version of the library.")));
}

/*
 * Wait for those that are running here, take them by a snapshot of now, and have
 * finished by the replica's.
 */
static void
wait_for_clog(Snapshot theirs, Snapshot now, TimestampTz deadline)
{
	for (uint32 i = 0; i < now->xcnt; i++)
	{
		if (!XidInMVCCSnapshot(now->xip[i], theirs))
			wait_for_transaction(now->xip[i], deadline);
	}
	/* Those from its xmax on run without being listed. */
	for (TransactionId xid = now->xmax; TransactionIdPrecedes(xid, theirs->xmax);)
	{
		if (!XidInMVCCSnapshot(xid, theirs))
			wait_for_transaction(xid, deadline);
		TransactionIdAdvance(xid);
	}
}

static void
wait_for_transaction(TransactionId xid, TimestampTz deadline)
{
	int			nap_us = NAP_MIN;

	while (!TransactionIdDidCommit(xid) && !TransactionIdDidAbort(xid) &&
		   TransactionIdIsInProgress(xid))
	{
		if (!nap(&nap_us, NAP_MAX, deadline, wait_event_barrier()))
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("transaction %u, which the node shows as finished, has not finished here in time",
							xid)));
	}
}
