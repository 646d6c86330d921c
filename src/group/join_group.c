/*-------------------------------------------------------------------------
 *
 * join_group.c
 *	  consistency.join_group(): connects this database and its peers to a group.
 *
 * First all members say what they publish and who is a member, then each one
 * subscribes to each other one.  A member that doesn't answer is left out, with
 * what concerns it, and is a row of the answer: the same call does the rest later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "replication/slot.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "core/errors.h"
#include "group/group.h"

#define FACTS_QUERY \
	"SELECT n.system_identifier, n.database::pg_catalog.text," \
	" (SELECT g.member FROM consistency.groups g WHERE g.group_name = %s)," \
	" pg_catalog.current_setting('wal_level'), n.in_recovery" \
	" FROM consistency.node_status() n"

/* who isn't a member any more, for whom isn't one yet to know */
#define REMOVED_QUERY \
	"SELECT m.member FROM consistency.group_members m" \
	" WHERE m.group_name = %s AND m.state <> 'active'"

/* what converges at a member */
#define TABLES_QUERY \
	"SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM consistency.attached_tables t" \
	" JOIN pg_catalog.pg_class c ON c.oid = t.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" ORDER BY 1"

typedef struct Joining
{
	GroupRun	run;
	const char *member;
	const char *origin;
	bool		resync;			/* copy all rows to us anew */
	bool		dry_run;
	List	   *members;		/* GroupMember, ourselves first */
	List	   *tables;			/* char *: those that converge at all of them */
} Joining;

static const char *own_name(const char *group, const char *given);
static const char *choose_origin(const char *group, const char *given);
static GroupMember *ask_facts(GroupRun *run, const char *name, Oid serverid);
static void refuse_unfit(const List *members);
static void refuse_twins(const List *members);
static void refuse_state(const GroupMember *member);
static List *without_removed(GroupRun *run, List *members);
static void declare_all(Joining *joining);
static void subscribe_all(Joining *joining);
static List *tables_of(const GroupMember *member);
static List *tables_of_all(Joining *joining);
static bool has(const List *rows, const char *name);
static List *names_of(const List *members);
static char *name_array(const List *names);

PG_FUNCTION_INFO_V1(consistency_join_group);

/*
 * consistency.join_group(group_name text, member text, origin text,
 *						  resync boolean, dry_run boolean)
 */
Datum
consistency_join_group(PG_FUNCTION_ARGS)
{
	Joining		joining = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("group_name, resync and dry_run must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	group_refuse_here("consistency.join_group()");
	joining.run.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	joining.run.group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	joining.member = own_name(joining.run.group,
							  PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	joining.origin = choose_origin(joining.run.group,
								   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	joining.resync = PG_GETARG_BOOL(3);
	joining.dry_run = PG_GETARG_BOOL(4);

	joining.members = group_ask_members(&joining.run, joining.member);
	refuse_unfit(joining.members);
	joining.members = without_removed(&joining.run, joining.members);
	joining.tables = tables_of_all(&joining);
	declare_all(&joining);
	subscribe_all(&joining);
	return (Datum) 0;
}

/*
 * group_refuse_here
 *		Raise an error where a group can't be changed.
 *
 * Others run parts of it, which must see what was done here before, and might
 * wait for locks of ours.
 */
void
group_refuse_here(const char *what)
{
	errors_require_preload(what);
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", what),
				 errhint("Members are primaries: call it there.")));
	PreventInTransactionBlock(true, what);
}

/* The name that we have in the group, or are given. */
static const char *
own_name(const char *group, const char *given)
{
	const char *known = group_own_name(group);

	if (known == NULL && given == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this database has no name in group \"%s\" yet", group),
				 errhint("Say which name its server has at the others: SELECT * FROM consistency.join_group(%s, member => '...');",
						 quote_literal_cstr(group))));
	group_check_names(group, given ? given : known);
	if (known && given && strcmp(known, given) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is member \"%s\" of group \"%s\" already", known, group),
				 errhint("Leave the group first: SELECT * FROM consistency.leave_group(%s, %s);",
						 quote_literal_cstr(group), quote_literal_cstr(known))));
	return known ? known : given;
}

/* Which changes are sent on: all, or only those that were made here. */
static const char *
choose_origin(const char *group, const char *given)
{
	TextRow    *row;

	if (given == NULL)
	{
		row = group_select_row(psprintf("SELECT g.origin FROM consistency.groups g WHERE g.group_name = %s",
										group_literal(group)));
		return row ? row->values[0] : "any";
	}
	if (strcmp(given, "any") != 0 && strcmp(given, "none") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid origin: \"%s\"", given),
				 errhint("It is \"any\" or \"none\".")));
	if (strcmp(given, "none") == 0 && atoi(GetConfigOption("server_version_num", false, false)) < 160000)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("origin \"none\" needs PostgreSQL 16"),
				 errhint("Leave it out: what is known already isn't sent on for ever, with either.")));
	if (strcmp(given, "none") == 0 &&
		group_select_row("SELECT FROM consistency.attached_tables t WHERE t.deletes = 'add_wins'") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("origin \"none\" is not possible where deletes are \"add_wins\""),
				 errhint("A row that survives a delete is sent to others by the member that notices: leave the origin out.")));
	return given;
}

/*
 * group_ask_members
 *		Ask all declared peers who they are.  Ourselves come first.
 */
List *
group_ask_members(GroupRun *run, const char *own_name)
{
	List	   *members = list_make1(ask_facts(run, own_name, InvalidOid));
	ListCell   *cell;

	foreach(cell, node_catalog_peers())
	{
		const ForeignServer *server = lfirst(cell);

		if (strcmp(server->servername, own_name) == 0)
			continue;			/* all may declare all, for simplicity */
		if (!peer_is_trusted(server))
		{
			group_show(run, server->servername, NULL,
					   psprintf("skipped: its server belongs to role \"%s\", which could let it lead anywhere. Hint: ALTER SERVER %s OWNER TO a superuser, or to you.",
								GetUserNameFromId(server->owner, false),
								quote_identifier(server->servername)));
			continue;
		}
		group_check_names(run->group, server->servername);
		members = lappend(members, ask_facts(run, server->servername, server->serverid));
	}
	return members;
}

static GroupMember *
ask_facts(GroupRun *run, const char *name, Oid serverid)
{
	GroupMember *member = palloc0(sizeof(GroupMember));
	char	   *query = psprintf(FACTS_QUERY, group_literal(run->group));
	List	   *rows = NIL;
	RemoteError error;

	member->name = pstrdup(name);
	member->serverid = serverid;
	if (!OidIsValid(serverid))
	{
		rows = group_select(query);
		member->answers = true;
	}
	else
		member->answers = peer_query(serverid, query, &rows, &error);
	if (member->answers)
	{
		TextRow    *row = linitial(rows);

		member->system_identifier = row->values[0];
		member->database = row->values[1];
		member->own_name = row->values[2];
		member->wal_level = row->values[3];
		member->in_recovery = row->values[4][0] == 't';
	}
	else
		group_show(run, name, NULL, psprintf("failed: %s", error.message));
	return member;
}

/* What can't be a group. */
static void
refuse_unfit(const List *members)
{
	ListCell   *cell;

	refuse_twins(members);
	foreach(cell, members)
	{
		const GroupMember *member = lfirst(cell);

		if (member->answers)
			refuse_state(member);
	}
}

/* Nobody can be in a group twice. */
static void
refuse_twins(const List *members)
{
	ListCell   *cell;
	ListCell   *other_cell;

	foreach(cell, members)
	{
		const GroupMember *member = lfirst(cell);

		foreach(other_cell, members)
		{
			const GroupMember *other = lfirst(other_cell);

			if (other == member)
				break;
			if (!member->answers || !other->answers ||
				strcmp(member->system_identifier, other->system_identifier) != 0 ||
				strcmp(member->database, other->database) != 0)
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("members \"%s\" and \"%s\" are the same database, or one is a copy of the other's files",
							other->name, member->name),
					 errdetail("Both have system identifier %s and database OID %s.",
							   member->system_identifier, member->database),
					 errhint("Make the new member by initdb and pg_dump --schema-only; rows are copied when it joins. A server with a second name is DROP SERVER ... CASCADE.")));
		}
	}
}

static void
refuse_state(const GroupMember *member)
{
	if (member->in_recovery)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("member \"%s\" is a streaming replica", member->name),
				 errhint("Members are primaries: let the server \"%s\" lead to its primary.", member->name)));
	if (strcmp(member->wal_level, "logical") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("wal_level is \"%s\" at member \"%s\"", member->wal_level, member->name),
				 errhint("ALTER SYSTEM SET wal_level = 'logical'; there, and restart it. Each other member also needs one of max_replication_slots and of max_wal_senders, and one of max_logical_replication_workers.")));
}

/* All but those that have left; whoever calls us wants to be in. */
static List *
without_removed(GroupRun *run, List *members)
{
	char	   *query = psprintf(REMOVED_QUERY, group_literal(run->group));
	List	   *removed = NIL;
	List	   *remaining = NIL;
	ListCell   *cell;
	ListCell   *row;

	foreach(cell, members)
	{
		const GroupMember *member = lfirst(cell);
		List	   *rows = NIL;
		RemoteError error;

		if (!OidIsValid(member->serverid))
			rows = group_select(query);
		else if (member->answers)
			(void) peer_query(member->serverid, query, &rows, &error);
		removed = list_concat(removed, rows);
	}
	foreach(cell, members)
	{
		GroupMember *member = lfirst(cell);
		bool		stays = true;

		foreach(row, removed)
		{
			if (strcmp(((TextRow *) lfirst(row))->values[0], member->name) == 0)
				stays = !OidIsValid(member->serverid);
		}
		if (stays)
			remaining = lappend(remaining, member);
		else
			group_show(run, member->name, NULL,
					   "skipped: it has left the group, and joins again when it calls consistency.join_group() itself");
	}
	return remaining;
}

static List *
tables_of(const GroupMember *member)
{
	List	   *rows = NIL;
	RemoteError error;

	if (!OidIsValid(member->serverid))
		return group_select(TABLES_QUERY);
	(void) peer_query(member->serverid, TABLES_QUERY, &rows, &error);
	return rows;
}

/* Tables that are attached at all members that answer; others are shown. */
static List *
tables_of_all(Joining *joining)
{
	List	   *tables = NIL;
	List	   *everywhere = NIL;
	List	   *of_members = NIL;
	ListCell   *cell;
	ListCell   *member_cell;
	ListCell   *of_cell;

	foreach(member_cell, joining->members)
	{
		List	   *rows = tables_of(lfirst(member_cell));

		of_members = lappend(of_members, rows);
		foreach(cell, rows)
			tables = list_append_unique(tables,
										makeString(((TextRow *) lfirst(cell))->values[0]));
	}
	foreach(cell, tables)
	{
		char	   *table = strVal(lfirst(cell));
		bool		missing = false;

		forboth(member_cell, joining->members, of_cell, of_members)
		{
			const GroupMember *member = lfirst(member_cell);

			if (!member->answers || has(lfirst(of_cell), table))
				continue;
			missing = true;
			group_show(&joining->run, member->name, NULL,
					   psprintf("skipped: table %s isn't attached here, and not published before it is", table));
		}
		if (!missing)
			everywhere = lappend(everywhere, table);
	}
	return everywhere;
}

static bool
has(const List *rows, const char *name)
{
	ListCell   *cell;

	foreach(cell, rows)
	{
		if (strcmp(((TextRow *) lfirst(cell))->values[0], name) == 0)
			return true;
	}
	return false;
}

static void
declare_all(Joining *joining)
{
	ListCell   *cell;

	foreach(cell, joining->members)
	{
		const GroupMember *member = lfirst(cell);

		if (member->answers)
			(void) group_ask_member(&joining->run, member,
									psprintf("SELECT * FROM consistency.declare_member(%s, %s, %s, %s, %s, %s)",
											 group_literal(joining->run.group),
											 group_literal(member->name),
											 name_array(names_of(joining->members)),
											 name_array(joining->tables),
											 group_literal(joining->origin),
											 joining->dry_run ? "true" : "false"));
	}
}

static void
subscribe_all(Joining *joining)
{
	ListCell   *cell;
	ListCell   *peer_cell;

	foreach(cell, joining->members)
	{
		const GroupMember *member = lfirst(cell);

		foreach(peer_cell, joining->members)
		{
			const GroupMember *peer = lfirst(peer_cell);

			if (peer == member || !member->answers || !peer->answers)
				continue;
			(void) group_ask_member(&joining->run, member,
									psprintf("SELECT * FROM consistency.subscribe_member(%s, %s, %s, %s, %s, %s)",
											 group_literal(joining->run.group),
											 group_literal(member->name),
											 group_literal(peer->name),
											 group_literal(joining->origin),
											 joining->resync && !OidIsValid(member->serverid) ? "true" : "false",
											 joining->dry_run ? "true" : "false"));
		}
	}
}

static List *
names_of(const List *members)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, members)
		names = lappend(names, ((GroupMember *) lfirst(cell))->name);
	return names;
}

static char *
name_array(const List *names)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfoString(&text, "ARRAY[");
	foreach(cell, names)
		appendStringInfo(&text, "%s%s", text.data[text.len - 1] == '[' ? "" : ", ",
						 group_literal(lfirst(cell)));
	appendStringInfoString(&text, "]::pg_catalog.text[]");
	return text.data;
}

/*
 * group_ask_member
 *		Let a member do a part, and show what it has run, or why it couldn't.
 */
bool
group_ask_member(GroupRun *run, const GroupMember *member, const char *query)
{
	List	   *rows;
	RemoteError error;
	ListCell   *cell;

	if (!(OidIsValid(member->serverid) ? peer_query(member->serverid, query, &rows, &error) :
		  own_session_query(query, &rows, &error)))
	{
		group_show(run, member->name, query,
				   psprintf("failed: %s%s%s", error.message, error.hint ? " Hint: " : "",
							error.hint ? error.hint : ""));
		return false;
	}
	foreach(cell, rows)
	{
		TextRow    *row = lfirst(cell);

		group_show(run, row->values[0], row->values[1], row->values[2]);
	}
	return true;
}

/* One more row. */
void
group_show(GroupRun *run, const char *member, const char *command, const char *result)
{
	Datum		values[4];
	bool		nulls[4] = {false, false, command == NULL, false};

	values[0] = Int32GetDatum(++run->step);
	values[1] = CStringGetTextDatum(member);
	values[2] = command ? CStringGetTextDatum(command) : (Datum) 0;
	values[3] = CStringGetTextDatum(result);
	tuplestore_putvalues(run->rsinfo->setResult, run->rsinfo->setDesc, values, nulls);
}
