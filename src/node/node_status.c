/*-------------------------------------------------------------------------
 *
 * node_status.c
 *	  What this server says of itself, as SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "node/node_table.h"
#include "session/commit_position.h"

#define STATUS_COLUMNS	8

PG_FUNCTION_INFO_V1(consistency_node_status);

/*
 * node_status_caught_up
 *		Does this server show all that it has ever shown?
 *
 * A replica that was restarted replays once more what it has in its own log, and
 * lets clients in when it is consistent, which may be before the end of that.  Only
 * then does it ask for more, and from then on it is known from where.
 */
bool
node_status_caught_up(void)
{
	return !RecoveryInProgress() || GetWalRcvFlushRecPtr(NULL, NULL) != InvalidXLogRecPtr;
}

/*
 * node_status_position
 *		How far this server is, and on which timeline: what a replica has replayed
 *		at least; and what every commit that a primary has acknowledged is in at
 *		most, asynchronous ones among them.
 */
Position
node_status_position(bool in_recovery)
{
	Position	position;

	if (!in_recovery)
		return commit_position_bound();
	position.lsn = GetXLogReplayRecPtr(&position.tli);
	return position;
}

/*
 * consistency.node_status()
 *		Who and where in the WAL this server is: the answer to a heartbeat, and
 *		to a router that wants to know whom it talks to.
 */
Datum
consistency_node_status(PG_FUNCTION_ARGS)
{
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS] = {false};
	TupleDesc	desc;
	Position	position;
	bool		in_recovery = RecoveryInProgress();

	errors_require_preload("consistency.node_status()");

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	position = node_status_position(in_recovery);
	values[0] = Int64GetDatum((int64) node_table->instance);
	values[1] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	values[2] = ObjectIdGetDatum(MyDatabaseId);
	values[3] = BoolGetDatum(in_recovery);
	values[4] = Int32GetDatum((int32) position.tli);
	values[5] = LSNGetDatum(position.lsn);
	values[6] = CStringGetTextDatum(CONSISTENCY_VERSION);
	values[7] = BoolGetDatum(node_status_caught_up());

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
