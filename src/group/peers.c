/*-------------------------------------------------------------------------
 *
 * peers.c
 *	  Peers as they are declared, and asking them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "exec/node_ask.h"
#include "exec/node_connection.h"
#include "group/group.h"

/* A slot is made once all transactions that write there have ended. */
#define ANSWER_LIMIT_MS 60000

static bool is_last_of_its_kind(const NodeConnInfo *conninfo, int i);
static bool is_for_us(const char *keyword);
static bool is_secret(const char *keyword);
static void append_quoted(StringInfo text, const char *value);
static void forget_rows(void *rows);
static void accept_rows(void *rows, const PGresult *result, int encoding);

/*
 * peer_server
 *		The server that declares a peer, and how the current role connects to it.
 *
 * An error if one of them isn't declared.
 */
Oid
peer_server(const char *name, NodeConnInfo *conninfo)
{
	ForeignServer *server = GetForeignServerByName(name, true);
	const char *role = GetUserNameFromId(GetUserId(), false);

	if (server == NULL || !node_catalog_is_peer(server->serverid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("member \"%s\" is not declared here", name),
				 errhint("CREATE SERVER %s FOREIGN DATA WRAPPER consistency_peer OPTIONS (host '...', port '...', dbname '...'); and a user mapping.",
						 quote_identifier(name))));
	if (!peer_is_trusted(server))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("server \"%s\" belongs to role \"%s\"", name,
						GetUserNameFromId(server->owner, false)),
				 errdetail("Whoever owns it says where its changes come from, and you would take them."),
				 errhint("ALTER SERVER %s OWNER TO a superuser, or to you.", quote_identifier(name))));
	if (!node_catalog_conninfo(server->serverid, GetUserId(), true, conninfo))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" has no usable user mapping for member \"%s\"", role, name),
				 errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (user '...', password '...');",
						 quote_identifier(role), quote_identifier(name))));
	return server->serverid;
}

/*
 * peer_is_trusted
 *		May the current role take changes from where a server leads?
 *
 * Its owner can let it lead anywhere, with any role's mapping.  Changes are applied
 * with the rights of who subscribes, perhaps all.
 */
bool
peer_is_trusted(const ForeignServer *server)
{
	return server->owner == GetUserId() || superuser_arg(server->owner);
}

/*
 * peer_conninfo
 *		What libpq connects to a peer by, as one text; "redacted" may be shown.
 */
char *
peer_conninfo(const NodeConnInfo *conninfo, bool redacted)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; conninfo->keywords[i]; i++)
	{
		if (is_for_us(conninfo->keywords[i]) || !is_last_of_its_kind(conninfo, i))
			continue;
		appendStringInfo(&text, "%s%s=", text.len ? " " : "", conninfo->keywords[i]);
		if (redacted && is_secret(conninfo->keywords[i]))
			appendStringInfoString(&text, "********");
		else
			append_quoted(&text, conninfo->values[i]);
	}
	return text.data;
}

/* Of several values of a keyword libpq takes the last one. */
static bool
is_last_of_its_kind(const NodeConnInfo *conninfo, int i)
{
	for (int j = i + 1; conninfo->keywords[j]; j++)
	{
		if (strcmp(conninfo->keywords[i], conninfo->keywords[j]) == 0)
			return false;
	}
	return true;
}

/* Who subscribes says these himself. */
static bool
is_for_us(const char *keyword)
{
	return strcmp(keyword, "fallback_application_name") == 0 ||
		strcmp(keyword, "client_encoding") == 0;
}

static bool
is_secret(const char *keyword)
{
	return strstr(keyword, "pass") || strstr(keyword, "scram") || strstr(keyword, "secret");
}

static void
append_quoted(StringInfo text, const char *value)
{
	appendStringInfoChar(text, '\'');
	for (const char *c = value; *c; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(text, '\\');
		appendStringInfoChar(text, *c);
	}
	appendStringInfoChar(text, '\'');
}

/*
 * peer_query
 *		Run a statement at a peer, by the current role's mapping, in a transaction
 *		of its own; its rows.  False and *error if that fails.
 */
bool
peer_query(Oid serverid, const char *query, List **rows, RemoteError *error)
{
	NodeConnInfo conninfo;
	NodeQuestion question = {
		.settings = "",
		.query = query,
		.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_LIMIT_MS),
		.begin = forget_rows,
		.accept = accept_rows,
		.arg = rows,
	};

	*rows = NIL;
	memset(error, 0, sizeof(*error));
	if (!node_catalog_conninfo(serverid, GetUserId(), true, &conninfo))
	{
		remote_error_set(error, ERRCODE_UNDEFINED_OBJECT, "no usable user mapping");
		return false;
	}
	return node_ask(serverid, &question, error);
}

/* The same, and an error if it fails. */
List *
peer_select(Oid serverid, const char *peer, const char *query)
{
	List	   *rows;
	RemoteError error;

	if (!peer_query(serverid, query, &rows, &error))
		remote_error_raise(&error, peer);
	return rows;
}

static void
forget_rows(void *rows)
{
	*(List **) rows = NIL;
}

static void
accept_rows(void *arg, const PGresult *result, int encoding)
{
	List	  **rows = arg;
	int			ncolumns = PQnfields(result);

	for (int i = 0; i < PQntuples(result); i++)
	{
		TextRow    *row = group_make_row(ncolumns);

		for (int column = 0; column < ncolumns; column++)
			row->values[column] = node_ask_value(result, i, column, encoding);
		*rows = lappend(*rows, row);
	}
}
