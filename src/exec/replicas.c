/*-------------------------------------------------------------------------
 *
 * replicas.c
 *	  How far the nodes are behind what was written, as SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "core/columns.h"
#include "core/errors.h"
#include "core/guc.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "node/applied.h"
#include "node/node_catalog.h"
#include "node/node_state.h"
#include "session/quorum.h"
#include "session/session.h"

#define CANDIDATE_COLUMNS 4

/* naps between two looks at what the monitor has heard, microseconds */
#define NAP_MIN 1000
#define NAP_MAX 20000

static XLogRecPtr written_here(void);
static int	wait_for_others(XLogRecPtr lsn, int n, TimestampTz deadline);
static void stop_waiting(int code, Datum arg);
static int	hear_from_all(NodeInfo *nodes, int *members);
static int	drop_doubles(NodeInfo *nodes, int n);
static int	keep_heard(NodeInfo *nodes, int n, int64 since);
static int	compare_positions(const void *a, const void *b);
static bool is_complete(const NodeInfo *nodes, int i, int heard, int members, int quorum, bool *known);

PG_FUNCTION_INFO_V1(consistency_wait_for_replicas);
PG_FUNCTION_INFO_V1(consistency_failover_candidates);

/*
 * consistency.wait_for_replicas(n integer, timeout interval) returns integer
 *		Wait until n nodes have applied what this session has committed, besides
 *		this one.  Returns how many have, be it in vain.
 */
Datum
consistency_wait_for_replicas(PG_FUNCTION_ARGS)
{
	TimestampTz deadline = GetCurrentTimestamp();

	errors_require_preload("consistency.wait_for_replicas()");
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("consistency.wait_for_replicas() runs at a primary only"),
				 errhint("SET consistency.write_quorum ahead of the write: then the primary waits for it.")));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the number of nodes must not be null")));
	if (!PG_ARGISNULL(1))
		deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														   TimestampTzGetDatum(deadline),
														   PG_GETARG_DATUM(1)));
	else if (guc_write_quorum_timeout < 0)
		deadline = DT_NOEND;
	else
		deadline = TimestampTzPlusMilliseconds(deadline, guc_write_quorum_timeout);
	PG_RETURN_INT32(wait_for_others(written_here(), PG_GETARG_INT32(0), deadline));
}

/*
 * The end of the session's last commit; the beginning of the log for none, or for
 * one on a timeline that is over: this server would not be the primary without it.
 */
static XLogRecPtr
written_here(void)
{
	Position	written = session_context()->written;

	return written.tli == GetWALInsertionTimeLine() ? written.lsn : InvalidXLogRecPtr;
}

static int
wait_for_others(XLogRecPtr lsn, int n, TimestampTz deadline)
{
	int			others = 0;

	applied_wait_begin(lsn);
	PG_ENSURE_ERROR_CLEANUP(stop_waiting, (Datum) 0);
	{
		int			nap_us = NAP_MIN;

		do
		{
			Applied		applied = applied_look_everywhere(lsn);

			others = applied.nodes - (applied.self ? 1 : 0);
		} while (others < n && nap(&nap_us, NAP_MAX, deadline, wait_event_quorum()));
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_waiting, (Datum) 0);
	applied_wait_end();
	return others;
}

static void
stop_waiting(int code, Datum arg)
{
	applied_wait_end();
}

/*
 * consistency.failover_candidates(write_quorum text)
 *		Which replica to promote: those that answer, by what they have applied.
 *
 * A primary knows what it has acknowledged.  Where there is none, so many nodes
 * must answer that every write quorum has one of them: then the one that has
 * applied most has all, the log being one line.
 *
 * A node has no name if its server object was dropped a moment ago.
 */
Datum
consistency_failover_candidates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *setting = text_to_cstring(PG_GETARG_TEXT_PP(0));
	NodeInfo   *nodes = palloc(NODE_STATE_MAX_SERVERS * sizeof(NodeInfo));
	int			quorum;
	int			members;
	int			heard;

	errors_require_preload("consistency.failover_candidates()");
	if (!quorum_parse(setting, &quorum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no write quorum", setting),
				 errhint(QUORUM_HINT)));

	InitMaterializedSRF(fcinfo, 0);
	heard = hear_from_all(nodes, &members);
	qsort(nodes, heard, sizeof(NodeInfo), compare_positions);
	for (int i = 0; i < heard; i++)
	{
		Datum		values[CANDIDATE_COLUMNS];
		bool		nulls[CANDIDATE_COLUMNS] = {false};
		bool		known;

		if (nodes[i].role != NODE_REPLICA)
			continue;
		column_put_name(values, nulls, 0, node_catalog_name(nodes[i].serverid));
		values[1] = Int32GetDatum((int32) nodes[i].position.tli);
		values[2] = LSNGetDatum(nodes[i].position.lsn);
		values[3] = BoolGetDatum(is_complete(nodes, i, heard, members, quorum, &known));
		nulls[3] = !known;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * The declared nodes that have said where they are since this was called, waiting
 * for those that are up; their number.  *members: of all that are declared.
 */
static int
hear_from_all(NodeInfo *nodes, int *members)
{
	int64		since = node_clock_us();
	int			nap_us = NAP_MIN;
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   3 * guc_monitor_interval + 1000);
	bool		missing;

	do
	{
		*members = drop_doubles(nodes, node_state_snapshot(nodes, NODE_STATE_MAX_SERVERS));
		missing = false;
		for (int i = 0; i < *members; i++)
			missing |= nodes[i].health == NODE_UP && !nodes[i].self && nodes[i].asked_us < since;
	} while (missing && nap(&nap_us, NAP_MAX, deadline, wait_event_quorum()));
	return keep_heard(nodes, *members, since);
}

/* Of a node with several servers keep the first; how many are left. */
static int
drop_doubles(NodeInfo *nodes, int n)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		bool		known = false;

		for (int j = 0; j < kept && !known; j++)
			known = nodes[j].slot == nodes[i].slot;
		if (!known)
			nodes[kept++] = nodes[i];
	}
	return kept;
}

/*
 * Keep those that were asked since then, ourselves among them; how many that are.
 * One that was restarted a moment ago may say less than it has applied before.
 */
static int
keep_heard(NodeInfo *nodes, int n, int64 since)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		if (nodes[i].self)
		{
			nodes[i].role = RecoveryInProgress() ? NODE_REPLICA : NODE_PRIMARY;
			nodes[i].caught_up = node_status_caught_up();
			if (RecoveryInProgress())
				nodes[i].position.lsn = GetXLogReplayRecPtr(&nodes[i].position.tli);
		}
		else if (nodes[i].health != NODE_UP || nodes[i].asked_us < since)
			continue;
		if (!nodes[i].caught_up)
			continue;
		nodes[kept++] = nodes[i];
	}
	return kept;
}

/* The highest first. */
static int
compare_positions(const void *a, const void *b)
{
	const NodeInfo *left = a;
	const NodeInfo *right = b;

	if (position_equal(left->position, right->position))
		return 0;
	return position_before(left->position, right->position) ? 1 : -1;
}

/* Has a node all that was acknowledged?  *known: is that known? */
static bool
is_complete(const NodeInfo *nodes, int i, int heard, int members, int quorum, bool *known)
{
	*known = true;
	if (!RecoveryInProgress())
		return nodes[i].position.tli == GetWALInsertionTimeLine() &&
			nodes[i].position.lsn >= applied_acknowledged();
	*known = heard > members - quorum_nodes(quorum, members) &&
		position_equal(nodes[i].position, nodes[0].position);
	return *known;
}
