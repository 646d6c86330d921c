/*-------------------------------------------------------------------------
 *
 * peer.c
 *	  Digests of a table's rows at a replica: asking for them, and answering.
 *
 * That the replica shows a position is promised as to any client: the token goes
 * ahead of the query, and the replica enforces it before it takes the snapshot
 * (exec/enforce.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/errors.h"
#include "core/guc.h"
#include "exec/node_ask.h"
#include "exec/node_connection.h"
#include "node/node_catalog.h"
#include "session/token.h"
#include "verify/heap_range.h"
#include "verify/node_snapshot.h"
#include "verify/peer.h"
#include "verify/table_access.h"

/* how long a node may take for an answer, besides the wait for replay */
#define ANSWER_LIMIT_MS 60000

/*
 * The node itself must answer.  Keys are texts, and ought to be the same ones
 * whatever the role's settings are.
 */
#define SETTINGS \
	"SET LOCAL consistency = 'session'; SET LOCAL consistency.token = '%s'; " \
	"SET LOCAL consistency.wait_timeout = %d; SET LOCAL consistency.on_timeout = 'error'; " \
	"SET LOCAL consistency.write_forwarding = off; SET LOCAL consistency.routing = off; " \
	"SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; " \
	"SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; "

#define DIGESTS_QUERY \
	"SELECT snapshot, part, rows, digest FROM consistency.block_digests(%u, %u, %u, %u, %d)"

#define ROWS_QUERY \
	"SELECT snapshot, place, key, digest, columns FROM consistency.block_rows(%u, %u, %u)"

#define IDENTITY_QUERY "SELECT instance FROM consistency.node_status()"

static bool ask(Oid serverid, const char *settings, char *query,
				void (*accept) (void *arg, const PGresult *result, int encoding), void *arg,
				RemoteError *error);
static void accept_digests(void *arg, const PGresult *result, int encoding);
static void accept_rows(void *arg, const PGresult *result, int encoding);
static void accept_identity(void *arg, const PGresult *result, int encoding);
static HeapRow *read_row(const PGresult *result, int row, int encoding);
static char *own_identity(void);
static BlockNumber block_argument(int64 value);
static void put_snapshot(ReturnSetInfo *rsinfo, int ncolumns);
static ArrayType *columns_array(const HeapRow *row);

PG_FUNCTION_INFO_V1(consistency_block_digests);
PG_FUNCTION_INFO_V1(consistency_block_rows);

/*
 * peer_ask
 *		Ask a replica for digests.  False, with question->error, in vain.
 */
bool
peer_ask(PeerQuestion *question)
{
	Token		token = {.newest = question->position};
	char text[	TOKEN_TEXT_SIZE];
	char	   *settings;
	char	   *query;

	memset(question->digests, 0, sizeof(question->digests));
	question->snapshot = NULL;
	question->rows = NIL;
	settings = psprintf(SETTINGS, token_format(token, GetSystemIdentifier(), text),
						guc_wait_timeout);
	if (question->nparts > 0)
		query = psprintf(DIGESTS_QUERY, question->root, question->part, question->blocks.first,
						 question->blocks.last, question->nparts);
	else
		query = psprintf(ROWS_QUERY, question->root, question->part, question->blocks.first);
	if (!ask(question->serverid, settings, query,
			 question->nparts > 0 ? accept_digests : accept_rows, question, &question->error))
		return false;
	if (question->snapshot == NULL)
	{
		remote_error_set(&question->error, ERRCODE_PROTOCOL_VIOLATION,
						 "the node did not tell its snapshot");
		return false;
	}
	return true;
}

/* Until when a node that is asked now has to have answered. */
TimestampTz
peer_deadline(void)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									   (int64) guc_wait_timeout + ANSWER_LIMIT_MS);
}

/* Is a node the server that we are?  Unknown counts as no. */
bool
peer_is_this_server(Oid serverid)
{
	char	   *identity = NULL;
	RemoteError error;

	return ask(serverid,
			   "SET LOCAL consistency = 'weak'; SET LOCAL consistency.write_forwarding = off;",
			   IDENTITY_QUERY, accept_identity, &identity, &error) &&
		identity != NULL && strcmp(identity, own_identity()) == 0;
}

static bool
ask(Oid serverid, const char *settings, char *query,
	void (*accept) (void *arg, const PGresult *result, int encoding), void *arg,
	RemoteError *error)
{
	NodeConnInfo conninfo;
	NodeQuestion question = {
		.settings = settings,
		.query = query,
		.deadline = peer_deadline(),
		.accept = accept,
		.arg = arg,
	};

	if (!node_catalog_conninfo(serverid, node_connection_user(serverid), true, &conninfo))
	{
		memset(error, 0, sizeof(*error));
		remote_error_set(error, ERRCODE_UNDEFINED_OBJECT, "no usable user mapping");
		return false;
	}
	return node_ask(serverid, &question, error);
}

static void
accept_digests(void *arg, const PGresult *result, int encoding)
{
	PeerQuestion *question = arg;

	for (int i = 0; i < PQntuples(result); i++)
	{
		int			part;

		if (!PQgetisnull(result, i, 0))
		{
			question->snapshot = node_ask_value(result, i, 0, encoding);
			continue;
		}
		part = atoi(PQgetvalue(result, i, 1));
		if (part < 0 || part >= question->nparts)
			elog(ERROR, "unexpected part %d in the answer of a node", part);
		question->digests[part].rows = strtoll(PQgetvalue(result, i, 2), NULL, 10);
		question->digests[part].sum = (uint64) strtoll(PQgetvalue(result, i, 3), NULL, 10);
	}
}

static void
accept_rows(void *arg, const PGresult *result, int encoding)
{
	PeerQuestion *question = arg;

	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!PQgetisnull(result, i, 0))
			question->snapshot = node_ask_value(result, i, 0, encoding);
		else
			question->rows = lappend(question->rows, read_row(result, i, encoding));
	}
}

static HeapRow *
read_row(const PGresult *result, int row, int encoding)
{
	HeapRow    *read = palloc0(sizeof(HeapRow));
	const char *columns = PQgetvalue(result, row, 4);
	unsigned int block;
	unsigned int offset;

	if (sscanf(PQgetvalue(result, row, 1), "(%u,%u)", &block, &offset) != 2)
		elog(ERROR, "unexpected place of a row in the answer of a node");
	ItemPointerSet(&read->place, block, offset);
	read->key = node_ask_value(result, row, 2, encoding);
	read->digest = (uint64) strtoll(PQgetvalue(result, row, 3), NULL, 10);

	/* an array: {1,2,...} */
	read->columns = palloc(sizeof(uint64) * (strlen(columns) + 1));
	while (*columns == '{' || *columns == ',')
	{
		char	   *rest;
		int64		column = strtoll(columns + 1, &rest, 10);

		if (rest == columns + 1)
			break;
		read->columns[read->ncolumns++] = (uint64) column;
		columns = rest;
	}
	return read;
}

static void
accept_identity(void *arg, const PGresult *result, int encoding)
{
	if (PQntuples(result) == 1)
		*(char **) arg = node_ask_value(result, 0, 0, encoding);
}

/* What this server says of itself. */
static char *
own_identity(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *identity;

	SPI_connect();
	if (SPI_execute(IDENTITY_QUERY, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read this server's identity");
	identity = MemoryContextStrdup(context,
								   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return identity;
}

/*
 * consistency.block_digests(root oid, leaf oid, first_block bigint,
 *							 last_block bigint, parts integer)
 *		At a replica: the digest of each part of a range of blocks, as the query's
 *		snapshot shows it.  The first row tells the snapshot, and nothing else.
 */
Datum
consistency_block_digests(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DescentRange blocks = {
		.first = block_argument(PG_GETARG_INT64(2)),
		.last = block_argument(PG_GETARG_INT64(3)),
	};
	int			parts = PG_GETARG_INT32(4);
	RangeDigest digests[DESCENT_PARTS];
	Relation	relation;

	InitMaterializedSRF(fcinfo, 0);
	if (blocks.last < blocks.first || parts < 1 || parts > descent_parts(blocks))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no such range of blocks")));
	put_snapshot(rsinfo, 4);
	relation = table_access_open(PG_GETARG_OID(0), PG_GETARG_OID(1), false);
	heap_range_digests(relation, GetActiveSnapshot(), blocks, parts, digests);
	table_close(relation, NoLock);
	for (int i = 0; i < parts; i++)
	{
		Datum		values[4] = {0};
		bool		nulls[4] = {true, false, false, false};

		values[1] = Int32GetDatum(i);
		values[2] = Int64GetDatum(digests[i].rows);
		values[3] = Int64GetDatum((int64) digests[i].sum);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * consistency.block_rows(root oid, leaf oid, block bigint)
 *		At a replica: the rows of a block, as the query's snapshot shows it.  The
 *		first row tells the snapshot, and nothing else.
 */
Datum
consistency_block_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	BlockNumber block = block_argument(PG_GETARG_INT64(2));
	Relation	relation;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	put_snapshot(rsinfo, 5);
	relation = table_access_open(PG_GETARG_OID(0), PG_GETARG_OID(1), false);
	foreach(cell, heap_range_rows(relation, GetActiveSnapshot(), block))
	{
		HeapRow    *row = lfirst(cell);
		Datum		values[5] = {0};
		bool		nulls[5] = {true, false, false, false, false};

		values[1] = PointerGetDatum(&row->place);
		values[2] = CStringGetTextDatum(row->key);
		values[3] = Int64GetDatum((int64) row->digest);
		values[4] = PointerGetDatum(columns_array(row));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	table_close(relation, NoLock);
	return (Datum) 0;
}

static BlockNumber
block_argument(int64 value)
{
	if (value < 0 || value > MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("block number out of range")));
	return (BlockNumber) value;
}

static void
put_snapshot(ReturnSetInfo *rsinfo, int ncolumns)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {false, true, true, true, true};

	Assert(ncolumns == rsinfo->setDesc->natts && ncolumns <= 5);
	values[0] = CStringGetTextDatum(node_snapshot_text(GetActiveSnapshot()));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static ArrayType *
columns_array(const HeapRow *row)
{
	Datum	   *digests = palloc(sizeof(Datum) * row->ncolumns);

	for (int i = 0; i < row->ncolumns; i++)
		digests[i] = Int64GetDatum((int64) row->columns[i]);
	return construct_array(digests, row->ncolumns, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
						   TYPALIGN_DOUBLE);
}
