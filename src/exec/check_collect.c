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
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "core/guc.h"
#include "exec/check.h"
#include "exec/node_ask.h"
#include "exec/node_connection.h"
#include "node/node_catalog.h"

#define FACTS_QUERY "SELECT name, value FROM consistency.node_facts()"

/* What a node says of itself must neither wait for a position nor come from another one. */
#define FACTS_SETTINGS \
	"SET LOCAL consistency = 'weak'; SET LOCAL consistency.write_forwarding = off;"

/* how long one node may take to answer, milliseconds */
#define ANSWER_LIMIT_MS 5000

static List *local_facts(void);
static CheckNode *describe(const ForeignServer *server);
static bool role_is_mapped(Oid serverid, Oid roleid);
static void ask(CheckNode *node, Oid serverid);
static void forget_facts(void *node);
static void accept_facts(void *node, const PGresult *result, int encoding);
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
	NodeQuestion question = {
		.settings = FACTS_SETTINGS,
		.query = FACTS_QUERY,
		.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_LIMIT_MS),
		.begin = forget_facts,
		.accept = accept_facts,
		.arg = node,
	};

	if (!node->mapped)
	{
		remote_error_set(&node->error, ERRCODE_UNDEFINED_OBJECT, "no usable user mapping");
		return;
	}
	node->asked = node_ask(serverid, &question, &node->error);
	node->connected = question.connected;
}

static void
forget_facts(void *node)
{
	((CheckNode *) node)->facts = NIL;
}

static void
accept_facts(void *arg, const PGresult *result, int encoding)
{
	CheckNode  *node = arg;

	for (int i = 0; i < PQntuples(result); i++)
	{
		char	   *value = node_ask_value(result, i, 1, encoding);

		if (value)
			node->facts = lappend(node->facts,
								  make_fact(node_ask_value(result, i, 0, encoding), value));
	}
}

static CheckFact *
make_fact(const char *name, const char *value)
{
	CheckFact  *fact = palloc(sizeof(CheckFact));

	fact->name = pstrdup(name);
	fact->value = pstrdup(value);
	return fact;
}
