/*-------------------------------------------------------------------------
 *
 * node_reader.c
 *	  Reads which nodes a database declares; driven by the monitor.
 *
 * Servers and mappings are in the catalogs of a database, and the monitor is
 * connected to none.  So it starts a short-lived worker, the reader, in one
 * database after the other, which publishes what it finds and ends.  Only one
 * runs at a time.  Databases are read:
 *
 * - all of them when the monitor starts, when consistency.monitor_role
 *	 changes, and when a replica is promoted;
 * - one when it asks (node_watch.c, and the view consistency.nodes);
 * - those that declare nodes every RECHECK_US: at a replica DDL is replayed,
 *	 and there may have been no session to notice it;
 * - all of them every SEARCH_US at a replica that knows no node yet, if it has
 *	 replayed anything since: nobody else tells it of the first one.
 *
 * A database that is gone, or allows no connections, declares nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_database.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/guc.h"
#include "node/node_catalog.h"
#include "node/node_reader.h"
#include "node/node_table.h"

#define RECHECK_US		(60 * INT64CONST(1000000))
#define SEARCH_US		(10 * INT64CONST(1000000))
#define RETRY_US		INT64CONST(1000000) /* no worker could be started */
#define MAX_RUN_US		(60 * INT64CONST(1000000))	/* a reader hangs */

/* In the monitor. */
static List *pending = NIL;		/* databases to be read, OIDs */
static bool all_pending = false;	/* and all others */
static BackgroundWorkerHandle *reader = NULL;	/* the one that runs */
static int64 reader_deadline_us;	/* when it is ended */
static int64 retry_us = 0;		/* not before start another one */
static int64 recheck_us = 0;	/* when to read databases again */

static void add_pending(List *dbids);
static void collect_requests(int64 now);
static void recheck(int64 now);
static bool reader_runs(int64 now);
static List *list_databases(void);
static bool launch_reader(Oid dbid);
static void declare_node(const ForeignServer *server, Oid roleid, NodeDeclaration *declared);
static bool conninfo_string(const NodeConnInfo *conninfo, char *result);

extern PGDLLEXPORT void node_reader_main(Datum arg);

/* Read all databases, as soon as possible. */
void
node_reader_request_all(void)
{
	all_pending = true;
}

/* When does node_reader_run() have to be called next, if nothing happens? */
int64
node_reader_next(void)
{
	if (reader != NULL)
		return reader_deadline_us;
	if (pending != NIL || all_pending)
		return retry_us;
	return recheck_us;
}

/*
 * node_reader_run
 *		Start a reader if one is wanted and none runs.
 *
 * Called whenever the monitor wakes up: its latch is set when a database asks
 * and when a reader ends.
 */
void
node_reader_run(int64 now)
{
	List	   *databases;

	collect_requests(now);

	/* One that has ended must be noticed even if no other is wanted. */
	if (reader_runs(now) || (pending == NIL && !all_pending) || now < retry_us)
		return;

	databases = list_databases();
	if (all_pending)
	{
		add_pending(databases);
		add_pending(node_table_databases());
		all_pending = false;
	}

	while (pending != NIL && reader == NULL)
	{
		Oid			dbid = linitial_oid(pending);

		if (!list_member_oid(databases, dbid))
			(void) node_table_declare(dbid, NULL, 0, 0);
		else if (launch_reader(dbid))
			reader_deadline_us = now + MAX_RUN_US;
		else
		{
			retry_us = now + RETRY_US;
			break;
		}
		pending = list_delete_first(pending);
	}
}

/* What is to be read: those that asked, and from time to time all known. */
static void
collect_requests(int64 now)
{
	bool		all;

	add_pending(node_table_take_requests(&all));
	all_pending |= all;

	if (now >= recheck_us)
		recheck(now);
}

/* Nobody may have noticed that a database declares something else now. */
static void
recheck(int64 now)
{
	static XLogRecPtr searched_at = InvalidXLogRecPtr;
	List	   *databases = node_table_databases();

	add_pending(databases);
	recheck_us = now + RECHECK_US;

	if (databases == NIL && guc_monitor_role[0] != '\0' && RecoveryInProgress())
	{
		XLogRecPtr	replayed = GetXLogReplayRecPtr(NULL);

		all_pending |= replayed != searched_at;
		searched_at = replayed;
		recheck_us = now + SEARCH_US;
	}
}

static void
add_pending(List *dbids)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	foreach(cell, dbids)
		pending = list_append_unique_oid(pending, lfirst_oid(cell));
	MemoryContextSwitchTo(old);
}

/* Does a reader run?  Cleans up after one that has ended. */
static bool
reader_runs(int64 now)
{
	pid_t		pid;

	if (reader == NULL)
		return false;

	if (GetBackgroundWorkerPid(reader, &pid) == BGWH_STOPPED)
	{
		pfree(reader);
		reader = NULL;
		return false;
	}
	if (now >= reader_deadline_us)
	{
		TerminateBackgroundWorker(reader);
		reader_deadline_us = now + MAX_RUN_US;
	}
	return true;
}

/* Databases that can be read, as a list of OIDs in the current context. */
static List *
list_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		/* a limit below -1 marks one that DROP DATABASE has left invalid */
		if (form->datallowconn && !form->datistemplate && form->datconnlimit >= -1)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			result = lappend_oid(result, form->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

/* Start a reader in a database; false if no worker can be had now. */
static bool
launch_reader(Oid dbid)
{
	static bool complained = false;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker;
	bool		started;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "consistency");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "node_reader_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "consistency node reader");
	snprintf(worker.bgw_type, BGW_MAXLEN, "consistency node reader");
	worker.bgw_main_arg = ObjectIdGetDatum(dbid);
	worker.bgw_notify_pid = MyProcPid;

	started = RegisterDynamicBackgroundWorker(&worker, &reader);
	MemoryContextSwitchTo(old);

	if (!started)
	{
		reader = NULL;
		if (!complained)
			ereport(LOG,
					(errmsg("could not start a worker to read the declared nodes"),
					 errhint("Increase max_worker_processes.")));
	}
	complained = !started;
	return started;
}

/*
 * node_reader_main
 *		The reader: publish what the database given as argument declares.
 */
void
node_reader_main(Datum arg)
{
	NodeDeclaration *declared;
	int			n;
	uint32		generation;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);

	generation = pg_atomic_read_u32(&node_table->generation);
	pg_memory_barrier();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());

	declared = node_reader_declared(&n);
	if (n > NODE_STATE_MAX_SERVERS)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d servers are declared", NODE_STATE_MAX_SERVERS)));
	if (!node_table_declare(MyDatabaseId, declared, n, generation))
		node_table_request(MyDatabaseId);

	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* What the catalogs of this database declare, palloc'd; their number in *n. */
NodeDeclaration *
node_reader_declared(int *n)
{
	List	   *servers = node_catalog_servers();
	ListCell   *cell;
	NodeDeclaration *declared;
	Oid			roleid = InvalidOid;

	if (servers != NIL && guc_monitor_role[0] != '\0')
		roleid = get_role_oid(guc_monitor_role, true);
	declared = palloc0(sizeof(NodeDeclaration) * (list_length(servers) + 1));
	*n = 0;
	foreach(cell, servers)
		declare_node(lfirst(cell), roleid, &declared[(*n)++]);
	return declared;
}

/* Fill *declared (zeroed) from a server and the mapping of the monitor's role. */
static void
declare_node(const ForeignServer *server, Oid roleid, NodeDeclaration *declared)
{
	const char *host = node_catalog_host(server);
	NodeConnInfo conninfo;

	declared->serverid = server->serverid;
	strlcpy(declared->host, host, sizeof(declared->host));
	strlcpy(declared->port, node_catalog_port(server), sizeof(declared->port));

	if (guc_monitor_role[0] == '\0')
		snprintf(declared->error, sizeof(declared->error),
				 "consistency.monitor_role is not set");
	else if (!OidIsValid(roleid))
		snprintf(declared->error, sizeof(declared->error),
				 "role \"%s\" of consistency.monitor_role does not exist", guc_monitor_role);
	else if (strlen(host) >= sizeof(declared->host))
		snprintf(declared->error, sizeof(declared->error),
				 "the host is longer than %d bytes", NODE_HOST_SIZE - 1);
	else if (!node_catalog_conninfo(server->serverid, roleid, true, &conninfo))
		snprintf(declared->error, sizeof(declared->error),
				 "no user mapping for role \"%s\", or one without the password that it needs",
				 guc_monitor_role);
	else if (!conninfo_string(&conninfo, declared->conninfo))
		snprintf(declared->error, sizeof(declared->error),
				 "the connection options are longer than %d bytes", NODE_CONNINFO_SIZE - 1);
	else
		declared->password_required = conninfo.password_required;
}

/*
 * The arrays as one connection string in result (NODE_CONNINFO_SIZE bytes);
 * false, and '', if it is too long.
 */
static bool
conninfo_string(const NodeConnInfo *conninfo, char *result)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; conninfo->keywords[i]; i++)
	{
		if (conninfo->values[i] == NULL || conninfo->values[i][0] == '\0')
			continue;
		appendStringInfo(&buf, "%s='", conninfo->keywords[i]);
		for (const char *c = conninfo->values[i]; *c; c++)
		{
			if (*c == '\'' || *c == '\\')
				appendStringInfoChar(&buf, '\\');
			appendStringInfoChar(&buf, *c);
		}
		appendStringInfoString(&buf, "' ");
	}
	if (buf.len >= NODE_CONNINFO_SIZE)
	{
		result[0] = '\0';
		return false;
	}
	strlcpy(result, buf.data, NODE_CONNINFO_SIZE);
	return true;
}
