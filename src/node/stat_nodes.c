/*-------------------------------------------------------------------------
 *
 * stat_nodes.c
 *	  What this server knows of the nodes, and has counted of them, as SQL:
 *	  consistency.nodes and consistency.stat_nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "node/node_catalog.h"
#include "node/node_table.h"
#include "remote/connection_limit.h"

/* in the order of consistency.stat_nodes() */
enum
{
	COLUMN_NAME,
	COLUMN_HOST,
	COLUMN_PORT,
	COLUMN_STATE,
	COLUMN_ROLE,
	COLUMN_THIS,
	COLUMN_TIMELINE,
	COLUMN_POSITION,
	COLUMN_LAG_BYTES,
	COLUMN_LAG,
	COLUMN_HEARTBEAT_AGE,
	COLUMN_ROUTED,
	COLUMN_ERROR,
	COLUMN_REPLAY_RATE,
	COLUMN_ROUND_TRIP,
	COLUMN_CONNECTIONS,
	COLUMN_REQUESTS,
	COLUMN_ERRORS,
	COLUMN_LAST_ERROR,
	COLUMN_LAST_ERROR_AT,
	COLUMN_STATE_CHANGES,
	COLUMN_LAST_STATE_CHANGE_AT,
	NUM_COLUMNS
};

/* One node, copied under the lock */
typedef struct NodeRow
{
	Oid			serverid;
	bool		known;			/* is the node in the table? then: */
	SharedNode	node;
	NodeCounters counters;
	int			load;
	char		error[NODE_ERROR_SIZE]; /* why it isn't monitored, or '' */
} NodeRow;

static int	copy_rows(NodeRow *rows, XLogRecPtr *primary_lsn);
static void put_row(Tuplestorestate *store, TupleDesc desc, const ForeignServer *server,
					const NodeRow *row, XLogRecPtr primary_lsn);
static void put_node(Datum *values, bool *nulls, const NodeRow *row, XLogRecPtr primary_lsn);
static void put_counters(Datum *values, bool *nulls, const NodeCounters *counters);
static Datum interval_datum(int64 us);

PG_FUNCTION_INFO_V1(consistency_stat_nodes);

/*
 * The function behind the views consistency.nodes and consistency.stat_nodes: what this database declares,
 * joined with what the shared table knows of it.  Where these differ the
 * monitor is asked to read the database anew.
 */
Datum
consistency_stat_nodes(PG_FUNCTION_ARGS)
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
			row->counters = *row->node.counters;
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
	const char *host = node_catalog_host(server);
	const char *port = node_catalog_port(server);
	Datum		values[NUM_COLUMNS] = {0};
	bool		nulls[NUM_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	for (int i = 0; i <= COLUMN_THIS; i++)
		nulls[i] = false;
	nulls[COLUMN_ROUTED] = nulls[COLUMN_CONNECTIONS] = false;

	values[COLUMN_NAME] = CStringGetTextDatum(server->servername);
	values[COLUMN_HOST] = CStringGetTextDatum(host);
	values[COLUMN_PORT] = Int32GetDatum(atoi(port));
	values[COLUMN_STATE] = CStringGetTextDatum("unknown");
	values[COLUMN_ROLE] = CStringGetTextDatum("unknown");
	values[COLUMN_THIS] = BoolGetDatum(false);
	values[COLUMN_ROUTED] = Int32GetDatum(0);
	values[COLUMN_CONNECTIONS] =
		Int32GetDatum(connection_limit_count(connection_limit_node(host, port)));
	values[COLUMN_ERROR] = CStringGetTextDatum("the node monitor has not seen this server yet");
	nulls[COLUMN_ERROR] = false;

	if (row)
	{
		const char *error = row->error[0] ? row->error : row->known ? row->node.error : "";

		nulls[COLUMN_ERROR] = error[0] == '\0';
		values[COLUMN_ERROR] = nulls[COLUMN_ERROR] ? (Datum) 0 : CStringGetTextDatum(errors_make_readable(pstrdup(error)));
		if (row->known)
		{
			put_node(values, nulls, row, primary_lsn);
			put_counters(values, nulls, &row->counters);
		}
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

	values[COLUMN_STATE] = CStringGetTextDatum(health_names[node->health]);
	values[COLUMN_ROLE] = CStringGetTextDatum(role_names[node->role]);
	values[COLUMN_THIS] = BoolGetDatum(node->self);
	if (position_is_set(node->position))
	{
		values[COLUMN_TIMELINE] = Int32GetDatum((int32) node->position.tli);
		values[COLUMN_POSITION] = LSNGetDatum(node->position.lsn);
		nulls[COLUMN_TIMELINE] = nulls[COLUMN_POSITION] = false;
		if (primary_lsn != InvalidXLogRecPtr)
		{
			values[COLUMN_LAG_BYTES] = Int64GetDatum(primary_lsn > node->position.lsn ?
													 (int64) (primary_lsn - node->position.lsn) : 0);
			nulls[COLUMN_LAG_BYTES] = false;
		}
	}
	if (node->lag_us >= 0)
	{
		values[COLUMN_LAG] = interval_datum(node->lag_us);
		nulls[COLUMN_LAG] = false;
	}
	if (node->heartbeat_us != 0)
	{
		values[COLUMN_HEARTBEAT_AGE] = interval_datum(Max(node_clock_us() - node->heartbeat_us, 0));
		nulls[COLUMN_HEARTBEAT_AGE] = false;
	}
	if (node->health == NODE_UP)
	{
		values[COLUMN_ROUND_TRIP] = interval_datum(node->round_trip_us);
		values[COLUMN_REPLAY_RATE] = Float8GetDatum(node->replay_rate);
		nulls[COLUMN_ROUND_TRIP] = false;
		nulls[COLUMN_REPLAY_RATE] = node->replay_rate < 0;
	}
	values[COLUMN_ROUTED] = Int32GetDatum(row->load);
}

/* What was counted since the counters were reset. */
static void
put_counters(Datum *values, bool *nulls, const NodeCounters *counters)
{
	NodeCounters copy = *counters;

	values[COLUMN_REQUESTS] = Int64GetDatum((int64) pg_atomic_read_u64(&copy.requests));
	values[COLUMN_ERRORS] = Int64GetDatum((int64) counters->errors);
	values[COLUMN_STATE_CHANGES] = Int64GetDatum((int64) counters->state_changes);
	nulls[COLUMN_REQUESTS] = nulls[COLUMN_ERRORS] = nulls[COLUMN_STATE_CHANGES] = false;
	if (counters->last_error_at != 0)
	{
		values[COLUMN_LAST_ERROR] = CStringGetTextDatum(errors_make_readable(copy.last_error));
		values[COLUMN_LAST_ERROR_AT] = TimestampTzGetDatum(counters->last_error_at);
		nulls[COLUMN_LAST_ERROR] = nulls[COLUMN_LAST_ERROR_AT] = false;
	}
	if (counters->last_state_change_at != 0)
	{
		values[COLUMN_LAST_STATE_CHANGE_AT] = TimestampTzGetDatum(counters->last_state_change_at);
		nulls[COLUMN_LAST_STATE_CHANGE_AT] = false;
	}
}

static Datum
interval_datum(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return IntervalPGetDatum(interval);
}
