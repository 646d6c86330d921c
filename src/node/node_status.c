/*-------------------------------------------------------------------------
 *
 * node_status.c
 *	  What this server says of itself, and what it knows of the others, as SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "node/node_catalog.h"
#include "node/node_table.h"
#include "session/commit_position.h"

#define STATUS_COLUMNS	7
#define NODES_COLUMNS	13

/* One row of consistency.nodes, copied under the lock */
typedef struct NodeRow
{
	Oid			serverid;
	bool		known;			/* is the node in the table? then: */
	SharedNode	node;
	int			load;
	char		error[NODE_ERROR_SIZE]; /* why it isn't monitored, or '' */
} NodeRow;

static int	copy_rows(NodeRow *rows, XLogRecPtr *primary_lsn);
static void put_row(Tuplestorestate *store, TupleDesc desc, const ForeignServer *server,
					const NodeRow *row, XLogRecPtr primary_lsn);
static void put_node(Datum *values, bool *nulls, const NodeRow *row, XLogRecPtr primary_lsn);
static Datum interval_datum(int64 us);
static Datum error_datum(const char *error);

PG_FUNCTION_INFO_V1(consistency_node_status);
PG_FUNCTION_INFO_V1(consistency_nodes);

/*
 * consistency.node_status()
 *		Who and where in the WAL this server is: the answer to a heartbeat, and
 *		to a router that wants to know whom it talks to.
 *
 * The position is what a replica has replayed at least; and what every commit
 * that a primary has acknowledged is in at most, asynchronous ones among them.
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

	if (in_recovery)
		position.lsn = GetXLogReplayRecPtr(&position.tli);
	else
		position = commit_position_bound();

	values[0] = Int64GetDatum((int64) node_table->instance);
	values[1] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	values[2] = ObjectIdGetDatum(MyDatabaseId);
	values[3] = BoolGetDatum(in_recovery);
	values[4] = Int32GetDatum((int32) position.tli);
	values[5] = LSNGetDatum(position.lsn);
	values[6] = CStringGetTextDatum(CONSISTENCY_VERSION);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * The function behind the view consistency.nodes: what this database declares,
 * joined with what the shared table knows of it.  Where these differ the
 * monitor is asked to read the database anew.
 */
Datum
consistency_nodes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	NodeRow    *rows;
	int			nrows;
	int			nmatched = 0;
	XLogRecPtr	primary_lsn;
	List	   *servers;
	ListCell   *cell;

	errors_require_preload("consistency.nodes");
	InitMaterializedSRF(fcinfo, 0);

	servers = node_catalog_servers();
	rows = palloc(sizeof(NodeRow) * NODE_STATE_MAX_SERVERS);
	nrows = copy_rows(rows, &primary_lsn);

	foreach(cell, servers)
	{
		const ForeignServer *server = lfirst(cell);
		const NodeRow *row = NULL;

		for (int i = 0; i < nrows && row == NULL; i++)
		{
			if (rows[i].serverid == server->serverid)
				row = &rows[i];
		}
		if (row)
			nmatched++;
		put_row(rsinfo->setResult, rsinfo->setDesc, server, row, primary_lsn);
	}

	if (nmatched != nrows || nmatched != list_length(servers))
		node_table_request(MyDatabaseId);

	return (Datum) 0;
}

/*
 * Copy what the table knows of this database's servers.  Returns their number,
 * and the position last heard of the primary: of several that take themselves
 * for it, the one on the newest timeline.
 */
static int
copy_rows(NodeRow *rows, XLogRecPtr *primary_lsn)
{
	Position	primary = POSITION_NONE;
	int			n = 0;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	for (int i = 0; i < NODE_STATE_MAX_NODES; i++)
	{
		const SharedNode *node = &node_table->nodes[i];

		if (node->used && node->role == NODE_PRIMARY)
			primary = position_max(primary, node->position);
	}
	for (int i = 0; i < NODE_STATE_MAX_SERVERS; i++)
	{
		const SharedServer *server = &node_table->servers[i];
		NodeRow    *row = &rows[n];

		if (!OidIsValid(server->dbid) || server->dbid != MyDatabaseId)
			continue;

		row->serverid = server->serverid;
		row->known = server->slot >= 0;
		strlcpy(row->error, server->error, sizeof(row->error));
		if (row->known)
		{
			row->node = node_table->nodes[server->slot];
			row->load = (int) (uint32) pg_atomic_read_u64(&node_table->nodes[server->slot].load);
		}
		n++;
	}
	LWLockRelease(&node_table->lock);

	*primary_lsn = primary.lsn;
	return n;
}

/* Write the row of one server; row is what the table knows of it, or NULL. */
static void
put_row(Tuplestorestate *store, TupleDesc desc, const ForeignServer *server,
		const NodeRow *row, XLogRecPtr primary_lsn)
{
	Datum		values[NODES_COLUMNS] = {0};
	bool		nulls[NODES_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	for (int i = 0; i < 6; i++)
		nulls[i] = false;
	nulls[11] = false;

	values[0] = CStringGetTextDatum(server->servername);
	values[1] = CStringGetTextDatum(node_catalog_host(server));
	values[2] = Int32GetDatum(atoi(node_catalog_port(server)));
	values[3] = CStringGetTextDatum("unknown");
	values[4] = CStringGetTextDatum("unknown");
	values[5] = BoolGetDatum(false);
	values[11] = Int32GetDatum(0);
	values[12] = error_datum("the node monitor has not seen this server yet");
	nulls[12] = false;

	if (row)
	{
		const char *error = row->error[0] ? row->error : row->known ? row->node.error : "";

		nulls[12] = error[0] == '\0';
		values[12] = nulls[12] ? (Datum) 0 : error_datum(error);
		if (row->known)
			put_node(values, nulls, row, primary_lsn);
	}
	tuplestore_putvalues(store, desc, values, nulls);
}

/* The columns that heartbeats tell. */
static void
put_node(Datum *values, bool *nulls, const NodeRow *row, XLogRecPtr primary_lsn)
{
	static const char *const health_names[] = {"unknown", "up", "down"};
	static const char *const role_names[] = {"unknown", "primary", "replica"};
	const SharedNode *node = &row->node;

	values[3] = CStringGetTextDatum(health_names[node->health]);
	values[4] = CStringGetTextDatum(role_names[node->role]);
	values[5] = BoolGetDatum(node->self);
	if (position_is_set(node->position))
	{
		values[6] = Int32GetDatum((int32) node->position.tli);
		values[7] = LSNGetDatum(node->position.lsn);
		nulls[6] = nulls[7] = false;
		if (primary_lsn != InvalidXLogRecPtr)
		{
			values[8] = Int64GetDatum(primary_lsn > node->position.lsn ?
									  (int64) (primary_lsn - node->position.lsn) : 0);
			nulls[8] = false;
		}
	}
	if (node->lag_us >= 0)
	{
		values[9] = interval_datum(node->lag_us);
		nulls[9] = false;
	}
	if (node->heartbeat_us != 0)
	{
		values[10] = interval_datum(Max(node_clock_us() - node->heartbeat_us, 0));
		nulls[10] = false;
	}
	values[11] = Int32GetDatum(row->load);
}

static Datum
interval_datum(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return IntervalPGetDatum(interval);
}

/*
 * Messages come from other servers and from the monitor, whose encoding may
 * not be this database's: what isn't valid here is replaced.
 */
static Datum
error_datum(const char *error)
{
	char	   *text = pstrdup(error);

	if (!pg_verifymbstr(text, strlen(text), true))
	{
		for (char *c = text; *c; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
		}
	}
	return CStringGetTextDatum(text);
}
