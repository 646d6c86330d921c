/*-------------------------------------------------------------------------
 *
 * compare_arguments.c
 *	  What consistency.compare() and consistency.repair() are called with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "group/compare.h"
#include "group/group.h"
#include "node/node_catalog.h"
#include "verify/table_access.h"

static void check_arguments(FunctionCallInfo fcinfo);
static int	milliseconds_of(Interval *interval);
static List *choose_peers(ArrayType *names);
static ComparePeer *make_peer(const char *name);
static List *declared_peers(void);
static List *named_peers(ArrayType *names);

/* From the arguments of compare() or repair(). */
void
compare_run_begin(CompareRun *run, FunctionCallInfo fcinfo)
{
	memset(run, 0, sizeof(CompareRun));
	run->context = CurrentMemoryContext;
	check_arguments(fcinfo);
	run->root = PG_GETARG_OID(0);
	run->after = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	run->max_rows = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
	run->max_differences = PG_GETARG_INT32(4);
	run->settle_ms = milliseconds_of(PG_GETARG_INTERVAL_P(5));
	run->resume = PG_GETARG_BOOL(6);
	if (run->max_rows < 1 || run->max_differences < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows and max_differences must be at least 1")));
	if (run->after && run->resume)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("after and resume cannot be given both")));
	table_access_check(run->root);
	if (run->after && get_rel_relkind(run->root) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is partitioned: its keys have no common order", get_rel_name(run->root)),
				 errhint("Name the partition that is to be compared from that key on, or use resume.")));
	run->peers = choose_peers(PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("members are compared at a primary"),
				 errhint("Connect to the primary of this member.")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation, max_differences, settle and resume must not be null")));
}

static int
milliseconds_of(Interval *interval)
{
	int64		milliseconds = ((int64) interval->month * DAYS_PER_MONTH + interval->day) *
	(USECS_PER_DAY / 1000) + interval->time / 1000;

	if (milliseconds < 0 || milliseconds > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("settle is out of range")));
	return (int) milliseconds;
}

static List *
choose_peers(ArrayType *names)
{
	List	   *peers = names ? named_peers(names) : declared_peers();

	if (peers == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no member to compare with"),
				 errhint("Declare the other members with CREATE SERVER ... FOREIGN DATA WRAPPER consistency_peer.")));
	return peers;
}

static ComparePeer *
make_peer(const char *name)
{
	ComparePeer *peer = palloc0(sizeof(ComparePeer));
	NodeConnInfo conninfo;

	peer->name = pstrdup(name);
	peer->serverid = peer_server(name, &conninfo);
	return peer;
}

static List *
declared_peers(void)
{
	List	   *peers = NIL;
	ListCell   *cell;

	foreach(cell, node_catalog_peers())
		peers = lappend(peers, make_peer(((ForeignServer *) lfirst(cell))->servername));
	return peers;
}

static List *
named_peers(ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *peers = NIL;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		ComparePeer *peer = make_peer(nulls[i] ? "" : TextDatumGetCString(elements[i]));
		ListCell   *cell;
		bool		named = false;

		foreach(cell, peers)
			named |= ((ComparePeer *) lfirst(cell))->serverid == peer->serverid;
		if (!named)
			peers = lappend(peers, peer);
	}
	return peers;
}
