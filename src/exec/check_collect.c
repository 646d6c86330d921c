/*-------------------------------------------------------------------------
 *
 * check_collect.c
 *	  The facts that consistency.check() judges, from every node.
 *
 * This server is asked directly, the others over the connections that the
 * caller's routed reads would use.  So what keeps those from a node shows here
 * as well.  Nodes are asked one after the other, each for a limited time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "core/guc.h"
#include "exec/check.h"
#include "exec/node_connection.h"
#include "node/node_catalog.h"
#include "remote/connection.h"

#define FACTS_QUERY "SELECT name, value FROM consistency.node_facts()"

/*
 * What a node says of itself must neither wait for a position nor come from
 * another one.  Who asks is the current role, whatever the connection was last.
 */
#define REMOTE_QUERY \
	"SET LOCAL consistency = 'weak'; SET LOCAL consistency.write_forwarding = off; " \
	"SET LOCAL role = %s; " FACTS_QUERY

/* how long one node may take to answer, milliseconds */
#define ANSWER_LIMIT_MS 5000

/* how often that is looked at, while nothing comes */
#define WAIT_MS 100

static List *local_facts(void);
static CheckNode *describe(const ForeignServer *server);
static bool role_is_mapped(Oid serverid, Oid roleid);
static void ask(CheckNode *node, Oid serverid);
static bool ask_over(CheckNode *node, RemoteConnection *connection, TimestampTz deadline);
static bool send_and_read(CheckNode *node, RemoteConnection *connection, TimestampTz deadline);
static bool wait_for_result(CheckNode *node, RemoteConnection *connection,
							TimestampTz deadline);
static bool accept_result(CheckNode *node, PGconn *conn, const PGresult *result);
static CheckFact *make_fact(const char *name, const char *value);

/*
 * check_collect
 *		Fill cluster->nodes and cluster->here.
 */
void
check_collect(CheckCluster *cluster)
{
	List	   *servers = node_catalog_servers();
	CheckNode  *here = palloc0(sizeof(CheckNode));
	ListCell   *cell;

	here->name = "(this server)";
	here->here = here->asked = true;
	here->facts = local_facts();
	cluster->here = here;

	foreach(cell, servers)
	{
		const ForeignServer *server = lfirst(cell);
		CheckNode  *node = describe(server);
		const char *this = check_fact_of(here, "node_this:", server->servername);

		/* The monitor knows us when it meets us; else our answer tells. */
		if (this && strcmp(this, "true") == 0)
			node->here = true;
		else
		{
			ask(node, server->serverid);
			node->here = node->asked &&
				check_fact_is(node, "instance", check_fact(here, "instance"));
		}
		if (node->here)
		{
			node->asked = true;
			node->facts = here->facts;
			cluster->here = node;
		}
		cluster->nodes = lappend(cluster->nodes, node);
	}
	if (cluster->here == here)
		cluster->nodes = lappend(cluster->nodes, here);
}

/* What this server says of itself. */
static List *
local_facts(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *facts = NIL;

	SPI_connect();
	if (SPI_execute(FACTS_QUERY, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read this server's own facts");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		const char *name = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);
		const char *value = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
		MemoryContext old;

		if (name == NULL || value == NULL)
			continue;
		old = MemoryContextSwitchTo(context);
		facts = lappend(facts, make_fact(name, value));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return facts;
}

/* What the catalog says of a node. */
static CheckNode *
describe(const ForeignServer *server)
{
	CheckNode  *node = palloc0(sizeof(CheckNode));

	node->name = server->servername;
	node->address = psprintf("%s:%s", node_catalog_host(server), node_catalog_port(server));
	node->mapped = role_is_mapped(server->serverid, node_connection_user(server->serverid));
	node->monitor_mapped = role_is_mapped(server->serverid, get_role_oid(guc_monitor_role, true));
	return node;
}

static bool
role_is_mapped(Oid serverid, Oid roleid)
{
	NodeConnInfo conninfo;

	return OidIsValid(roleid) && node_catalog_conninfo(serverid, roleid, true, &conninfo);
}

/* Ask another node: fill node->facts, or node->error. */
static void
ask(CheckNode *node, Oid serverid)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_LIMIT_MS);
	RemoteConnection *connection;

	if (!node->mapped)
	{
		remote_error_set(&node->error, ERRCODE_UNDEFINED_OBJECT, "no usable user mapping");
		return;
	}

	/* One that was kept from earlier may be broken by now. */
	connection = connection_find(serverid, node_connection_user(serverid));
	node->asked = connection != NULL && ask_over(node, connection, deadline);
	if (!node->asked && GetCurrentTimestamp() < deadline)
	{
		memset(&node->error, 0, sizeof(node->error));
		connection = node_connection_open(serverid, &node->error);
		node->connected = connection != NULL;
		node->asked = connection != NULL && ask_over(node, connection, deadline);
	}
	if (!node->asked)
	{
		if (node->error.message == NULL)
			remote_error_set(&node->error, ERRCODE_CONNECTION_FAILURE, "no answer");
		(void) errors_make_readable(node->error.message);
	}
}

/* The same over a connection, which is handed back. */
static bool
ask_over(CheckNode *node, RemoteConnection *connection, TimestampTz deadline)
{
	bool		ok;

	PG_TRY();
	{
		ok = send_and_read(node, connection, deadline);
	}
	PG_CATCH();
	{
		connection_release(connection, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	connection_release(connection, ok);
	return ok;
}

/* Send the query and read up to its end. */
static bool
send_and_read(CheckNode *node, RemoteConnection *connection, TimestampTz deadline)
{
	PGconn	   *conn = connection->conn;
	Oid			role = GetUserId();
	const char *name = role == connection->login ? "none" : GetUserNameFromId(role, false);
	bool		ok = true;

	node->facts = NIL;
	if (!PQexitPipelineMode(conn) ||
		!PQsendQuery(conn, psprintf(REMOTE_QUERY, quote_literal_cstr(name))))
	{
		remote_error_from_connection(&node->error, conn);
		return false;
	}
	while (ok)
	{
		PGresult   *result;

		if (!wait_for_result(node, connection, deadline))
			return false;
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		PG_TRY();
		{
			ok = accept_result(node, conn, result);
		}
		PG_FINALLY();
		{
			PQclear(result);
		}
		PG_END_TRY();
	}
	return ok;
}

/* Wait until PQgetResult() doesn't block.  False, with node->error, in vain. */
static bool
wait_for_result(CheckNode *node, RemoteConnection *connection, TimestampTz deadline)
{
	PGconn	   *conn = connection->conn;

	while (PQflush(conn) > 0 || PQisBusy(conn))
	{
		if (GetCurrentTimestamp() >= deadline)
		{
			remote_error_set(&node->error, ERRCODE_CONNECTION_FAILURE, "no answer in time");
			return false;
		}
		(void) connection_wait(connection, WL_SOCKET_READABLE, WAIT_MS);
		if (!PQconsumeInput(conn))
		{
			remote_error_from_connection(&node->error, conn);
			return false;
		}
	}
	return true;
}

/* Take the rows of a result, or its error.  False on error. */
static bool
accept_result(CheckNode *node, PGconn *conn, const PGresult *result)
{
	int			encoding = PQclientEncoding(conn);

	if (PQresultStatus(result) != PGRES_TUPLES_OK &&
		PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		remote_error_from_setup(&node->error, result, conn);
		return false;
	}
	for (int i = 0; i < PQntuples(result); i++)
	{
		char	   *name = PQgetvalue(result, i, 0);
		char	   *value = PQgetvalue(result, i, 1);

		if (!PQgetisnull(result, i, 1))
			node->facts = lappend(node->facts,
								  make_fact(pg_any_to_server(name, strlen(name), encoding),
											pg_any_to_server(value, strlen(value), encoding)));
	}
	return true;
}

static CheckFact *
make_fact(const char *name, const char *value)
{
	CheckFact  *fact = palloc(sizeof(CheckFact));

	fact->name = pstrdup(name);
	fact->value = pstrdup(value);
	return fact;
}
