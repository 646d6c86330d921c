/*-------------------------------------------------------------------------
 *
 * receiver.c
 *	  A replica tells the server that it streams from which server it is.
 *
 * A walsender knows its standby by an application name, and perhaps a slot's
 * name: neither need be unique, or be known to who declares nodes.  What names a
 * running server for certain is its instance id, which the answers to heartbeats
 * tell as well.  So the replica's walreceiver hands that over as a setting of the
 * session that it streams by, with its connection options; where that isn't
 * taken, by a pooler say, it connects as it always did, and is known by its
 * heartbeats alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq-fe.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/guc.h"

#include "core/compat.h"
#include "node/node_table.h"
#include "node/receiver.h"

#define INSTANCE_SETTING "consistency.receiver_instance"

/* what the client of this session said; '' for all but walreceivers */
static char *instance_setting = NULL;

static WalReceiverFunctionsType functions;
static walrcv_connect_fn prev_connect = NULL;

static WalReceiverConn *connect_by_name(COMPAT_WALRCV_CONNECT_DECL);
static char *conninfo_with_instance(const char *conninfo);
static void add_option(StringInfo conninfo, const char *keyword, const char *value);

/* Define the setting, and get between the walreceiver and libpq. */
void
receiver_init(void)
{
	/* set by walreceivers, for the session that they stream by */
	DefineCustomStringVariable(INSTANCE_SETTING,
							   "The server that streams by this session.",
							   NULL,
							   &instance_setting,
							   "",
							   PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE |
							   GUC_DISALLOW_IN_FILE | GUC_DISALLOW_IN_AUTO_FILE,
							   NULL, NULL, NULL);

	/* It does nothing when a walreceiver loads it once more. */
	load_file("libpqwalreceiver", false);
	if (WalReceiverFunctions == NULL)
		return;
	functions = *WalReceiverFunctions;
	prev_connect = functions.walrcv_connect;
	functions.walrcv_connect = connect_by_name;
	WalReceiverFunctions = &functions;
}

/* The instance id of the replica that streams by this session; 0: none said so. */
uint64
receiver_instance(void)
{
	return instance_setting ? strtou64(instance_setting, NULL, 16) : 0;
}

/* walrcv_connect(): the standby's own connection says who it is. */
static WalReceiverConn *
connect_by_name(COMPAT_WALRCV_CONNECT_DECL)
{
	const char *original = conninfo;
	WalReceiverConn *connection;

	if (AmWalReceiverProcess() && !logical && (conninfo = conninfo_with_instance(original)) != NULL)
	{
		connection = prev_connect(COMPAT_WALRCV_CONNECT_ARGS);
		if (connection)
			return connection;
	}
	conninfo = original;
	return prev_connect(COMPAT_WALRCV_CONNECT_ARGS);
}

/* The same connection options and the instance id, palloc'd; NULL: they are wrong. */
static char *
conninfo_with_instance(const char *conninfo)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	const char *options = "";
	StringInfoData result;
	char	   *mine;

	if (parsed == NULL)
		return NULL;
	initStringInfo(&result);
	for (PQconninfoOption *option = parsed; option->keyword; option++)
	{
		if (option->val == NULL)
			continue;
		if (strcmp(option->keyword, "options") == 0)
			options = option->val;
		else
			add_option(&result, option->keyword, option->val);
	}
	mine = psprintf("%s -c " INSTANCE_SETTING "=%" INT64_MODIFIER "x", options,
					node_table->instance);
	add_option(&result, "options", mine);
	PQconninfoFree(parsed);
	pfree(mine);
	return result.data;
}

static void
add_option(StringInfo conninfo, const char *keyword, const char *value)
{
	appendStringInfo(conninfo, "%s='", keyword);
	for (const char *c = value; *c; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(conninfo, '\\');
		appendStringInfoChar(conninfo, *c);
	}
	appendStringInfoString(conninfo, "' ");
}
