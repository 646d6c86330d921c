/*-------------------------------------------------------------------------
 *
 * node_catalog.c
 *	  Nodes as an administrator declares them: foreign servers and mappings.
 *
 * A node is a foreign server of the wrapper "consistency", a peer one of
 * "consistency_peer"; how a role connects to it is a user mapping.  Options and password rules are those of
 * postgres_fdw: what is secret, and the user, belong to the mapping, every
 * other option of libpq that isn't for debugging to the server.  Roles that
 * aren't superuser must bring a password in their mapping and the node must
 * ask for it, or else they would connect as whoever the server runs as; a
 * superuser may lift that by password_required = false in the mapping.
 *
 * Unlike there, a server names exactly one host and, if any, one port: nodes
 * are told apart by these.  The environment of the server process doesn't
 * count for the host, port, database and user.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "common/string.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "nodes/value.h"
#include "lib/stringinfo.h"
#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "node/node_catalog.h"

/* Slots in the keyword array beside the options given: see below. */
#define EXTRA_KEYWORDS 6

static const PQconninfoOption *libpq_options(void);
static Oid	option_catalog(const PQconninfoOption *option);
static bool is_valid_option(const char *name, Oid catalog);
static void raise_invalid_option(const char *name, Oid catalog) pg_attribute_noreturn();
static void check_option(DefElem *def, Oid catalog);
static void check_port(const char *value);
static void check_address(List *options);
static const char *option_value(List *options, const char *name);
static List *servers_of(const char *fdw_name);
static UserMapping *find_mapping(Oid userid, Oid serverid, const char *servername,
								 bool missing_ok);
static int	add_options(List *options, NodeConnInfo *conninfo, int n);
static void build_arrays(const ForeignServer *server, const UserMapping *mapping,
						 NodeConnInfo *conninfo);
static bool mapping_requires_password(const UserMapping *mapping);

PG_FUNCTION_INFO_V1(consistency_fdw_validator);

/*
 * consistency.fdw_validator(text[], oid)
 *		Raise an error if an option of a wrapper, server, mapping or foreign
 *		table (its catalog is the second argument) isn't valid.
 */
Datum
consistency_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = (DefElem *) lfirst(cell);

		if (!is_valid_option(def->defname, catalog))
			raise_invalid_option(def->defname, catalog);
		check_option(def, catalog);
	}
	if (catalog == ForeignServerRelationId)
		check_address(options);

	PG_RETURN_VOID();
}

/* All options that libpq knows; read once, kept as long as the process. */
static const PQconninfoOption *
libpq_options(void)
{
	static const PQconninfoOption *options = NULL;

	if (options == NULL)
		options = PQconndefaults();
	if (options == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not get libpq's default connection options.")));
	return options;
}

/*
 * The catalog whose objects may have an option of libpq's, or InvalidOid.
 *
 * Hidden are options for debugging, those that we set ourselves, and OAuth,
 * whose flow talks to a terminal.
 */
static Oid
option_catalog(const PQconninfoOption *option)
{
	if (strchr(option->dispchar, 'D') ||
		strcmp(option->keyword, "fallback_application_name") == 0 ||
		strcmp(option->keyword, "client_encoding") == 0 ||
		strncmp(option->keyword, "oauth_", strlen("oauth_")) == 0)
		return InvalidOid;

	if (strcmp(option->keyword, "user") == 0 || strchr(option->dispchar, '*'))
		return UserMappingRelationId;
	return ForeignServerRelationId;
}

/* sslcert and sslkey may be in either; password_required isn't libpq's. */
static bool
is_valid_option(const char *name, Oid catalog)
{
	if (catalog == UserMappingRelationId &&
		(strcmp(name, "password_required") == 0 ||
		 strcmp(name, "sslcert") == 0 ||
		 strcmp(name, "sslkey") == 0))
		return true;

	for (const PQconninfoOption *option = libpq_options(); option->keyword; option++)
	{
		if (strcmp(option->keyword, name) == 0)
			return OidIsValid(catalog) && option_catalog(option) == catalog;
	}
	return false;
}

/* The error for an option that isn't known, with those that are. */
static void
raise_invalid_option(const char *name, Oid catalog)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const PQconninfoOption *option = libpq_options(); option->keyword; option++)
	{
		if (is_valid_option(option->keyword, catalog))
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", option->keyword);
	}
	if (catalog == UserMappingRelationId)
		appendStringInfoString(&buf, ", password_required");

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 buf.len > 0
			 ? errhint("Valid options in this context are: %s", buf.data)
			 : errhint("There are no valid options in this context.")));
}

/* Check the value of one option, and whether this role may set it. */
static void
check_option(DefElem *def, Oid catalog)
{
	if (strcmp(def->defname, "port") == 0)
		check_port(defGetString(def));
	else if (strcmp(def->defname, "password_required") == 0)
	{
		if (!defGetBoolean(def) && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("password_required=false is superuser-only"),
					 errhint("User mappings with the password_required option set to false may only be created or modified by the superuser.")));
	}
	else if (strcmp(def->defname, "sslcert") == 0 ||
			 strcmp(def->defname, "sslkey") == 0)
	{
		if (catalog == UserMappingRelationId && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("sslcert and sslkey are superuser-only"),
					 errhint("User mappings with the sslcert or sslkey options set may only be created or modified by the superuser.")));
	}
}

static void
check_port(const char *value)
{
	char	   *end;
	int			port;

	errno = 0;
	port = strtoint(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || port < 1 || port > 65535)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"port\": \"%s\"", value),
				 errhint("A port is a number from 1 to 65535.")));
}

/* A server must say where it is, and be one server. */
static void
check_address(List *options)
{
	const char *host = option_value(options, "host");
	const char *hostaddr = option_value(options, "hostaddr");

	if (host == NULL && hostaddr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"host\" or \"hostaddr\" is required"),
				 errhint("Say where the node listens: OPTIONS (host '...', port '...').")));
	if ((host && strchr(host, ',')) || (hostaddr && strchr(hostaddr, ',')))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a node has one host only"),
				 errhint("Create a server for each host.")));
}

/* The value of an option, or NULL if it isn't there or is empty. */
static const char *
option_value(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = (DefElem *) lfirst(cell);

		if (strcmp(def->defname, name) == 0)
		{
			const char *value = defGetString(def);

			return value[0] != '\0' ? value : NULL;
		}
	}
	return NULL;
}

/* How many nodes the catalogs declare; one with several servers counts once. */
int
node_catalog_members(void)
{
	List	   *addresses = NIL;
	ListCell   *cell;

	foreach(cell, node_catalog_servers())
	{
		const ForeignServer *server = lfirst(cell);

		addresses = list_append_unique(addresses,
									   makeString(psprintf("%s:%s", node_catalog_host(server),
														   node_catalog_port(server))));
	}
	return list_length(addresses);
}

/* Where the node listens: a part of what tells nodes apart. */
const char *
node_catalog_host(const ForeignServer *server)
{
	const char *host = option_value(server->options, "hostaddr");

	if (host == NULL)
		host = option_value(server->options, "host");
	return host ? host : "";
}

const char *
node_catalog_port(const ForeignServer *server)
{
	const char *port = option_value(server->options, "port");

	/* without spaces or leading zeros, so that equal ports are equal texts */
	return port ? psprintf("%d", atoi(port)) : DEF_PGPORT_STR;
}

/* The name of a server object, palloc'd; NULL if it was dropped. */
char *
node_catalog_name(Oid serverid)
{
	HeapTuple	tuple = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	name = pstrdup(NameStr(((Form_pg_foreign_server) GETSTRUCT(tuple))->srvname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * node_catalog_servers
 *		All nodes declared in this database, as a list of ForeignServer in the
 *		current memory context.  Needs a transaction.
 */
List *
node_catalog_servers(void)
{
	return servers_of(EXTENSION_FDW_NAME);
}

/* The same of all peers: servers of other clusters that tables converge with. */
List *
node_catalog_peers(void)
{
	return servers_of(EXTENSION_PEER_FDW_NAME);
}

/* Is it a peer?  False if it was dropped. */
bool
node_catalog_is_peer(Oid serverid)
{
	ForeignDataWrapper *fdw = GetForeignDataWrapperByName(EXTENSION_PEER_FDW_NAME, true);
	ForeignServer *server = GetForeignServerExtended(serverid, FSV_MISSING_OK);

	return fdw != NULL && server != NULL && server->fdwid == fdw->fdwid;
}

static List *
servers_of(const char *fdw_name)
{
	ForeignDataWrapper *fdw = GetForeignDataWrapperByName(fdw_name, true);
	List	   *servers = NIL;
	List	   *oids = NIL;
	ListCell   *cell;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (fdw == NULL)
		return NIL;

	rel = table_open(ForeignServerRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == fdw->fdwid)
			oids = lappend_oid(oids, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	foreach(cell, oids)
	{
		ForeignServer *server = GetForeignServerExtended(lfirst_oid(cell),
														 FSV_MISSING_OK);

		if (server)
			servers = lappend(servers, server);
	}
	return servers;
}

/*
 * node_catalog_conninfo
 *		How userid connects to serverid: fill *conninfo, in the current memory
 *		context.
 *
 * The mapping is that of userid, or else PUBLIC's.  Without one, and where
 * the role needs a password and the mapping has none, this is an error, or
 * false if missing_ok.  When conninfo->password_required comes back true, the
 * caller must check by PQconnectionUsedPassword() that the node asked for the
 * password, and close the connection if it didn't.
 */
bool
node_catalog_conninfo(Oid serverid, Oid userid, bool missing_ok,
					  NodeConnInfo *conninfo)
{
	ForeignServer *server;
	UserMapping *mapping;

	server = GetForeignServerExtended(serverid, missing_ok ? FSV_MISSING_OK : 0);
	if (server == NULL)
		return false;
	mapping = find_mapping(userid, serverid, server->servername, missing_ok);
	if (mapping == NULL)
		return false;

	conninfo->umid = mapping->umid;
	conninfo->password_required =
		!superuser_arg(userid) && mapping_requires_password(mapping);

	if (conninfo->password_required &&
		option_value(mapping->options, "password") == NULL)
	{
		if (missing_ok)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("password is required"),
				 errdetail("Non-superusers must provide a password in the user mapping.")));
	}

	build_arrays(server, mapping, conninfo);
	return true;
}

/* The mapping of userid or PUBLIC; NULL if none and missing_ok. */
static UserMapping *
find_mapping(Oid userid, Oid serverid, const char *servername, bool missing_ok)
{
	UserMapping *mapping;
	HeapTuple	tuple;
	Datum		options;
	bool		isnull;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
							ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
								ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
	{
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("user mapping not found for user \"%s\", server \"%s\"",
						GetUserNameFromId(userid, false), servername)));
	}

	mapping = palloc0(sizeof(UserMapping));
	mapping->umid = ((Form_pg_user_mapping) GETSTRUCT(tuple))->oid;
	mapping->userid = userid;
	mapping->serverid = serverid;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							  Anum_pg_user_mapping_umoptions, &isnull);
	mapping->options = isnull ? NIL : untransformRelOptions(options);
	ReleaseSysCache(tuple);
	return mapping;
}

static bool
mapping_requires_password(const UserMapping *mapping)
{
	ListCell   *cell;

	foreach(cell, mapping->options)
	{
		DefElem    *def = (DefElem *) lfirst(cell);

		if (strcmp(def->defname, "password_required") == 0)
			return defGetBoolean(def);
	}
	return true;
}

/* Append the options that libpq takes; returns the new number of them. */
static int
add_options(List *options, NodeConnInfo *conninfo, int n)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = (DefElem *) lfirst(cell);

		if (strcmp(def->defname, "password_required") == 0)
			continue;
		conninfo->keywords[n] = def->defname;
		conninfo->values[n] = defGetString(def);
		n++;
	}
	return n;
}

/*
 * Build the arrays.  libpq takes the last of several values of a keyword, so
 * that what the mapping says comes after the server's, and defaults first.
 */
static void
build_arrays(const ForeignServer *server, const UserMapping *mapping,
			 NodeConnInfo *conninfo)
{
	int			max = list_length(server->options) + list_length(mapping->options) +
	EXTRA_KEYWORDS;
	const char **keywords = palloc(max * sizeof(char *));
	const char **values = palloc(max * sizeof(char *));
	int			n = 0;

	conninfo->keywords = keywords;
	conninfo->values = values;

	keywords[n] = "port";
	values[n++] = DEF_PGPORT_STR;
	keywords[n] = "dbname";
	values[n++] = get_database_name(MyDatabaseId);
	keywords[n] = "user";
	values[n++] = GetUserNameFromId(mapping->userid, false);
	keywords[n] = "fallback_application_name";
	values[n++] = "consistency";
	keywords[n] = "client_encoding";
	values[n++] = GetDatabaseEncodingName();
	n = add_options(server->options, conninfo, n);
	n = add_options(mapping->options, conninfo, n);
	keywords[n] = values[n] = NULL;
	Assert(n < max);
}
