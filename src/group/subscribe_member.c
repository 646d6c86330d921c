/*-------------------------------------------------------------------------
 *
 * subscribe_member.c
 *	  A member's second part in joining: it subscribes to a peer.
 *
 * What is there and works is left alone.  A slot that is gone or was invalidated
 * takes what wasn't sent with it; then the subscription is made anew, and copies
 * all rows: they merge with those that are here.
 *
 * The slot is made first: that waits for whoever writes over there, and must not
 * wait for our own transaction where both are databases of one cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "group/group.h"

/* how the peer sees us */
#define PEER_QUERY \
	"SELECT (SELECT g.member FROM consistency.groups g WHERE g.group_name = %s)," \
	" EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = %s)," \
	" s.slot_name IS NOT NULL, s.wal_status = 'lost'," \
	" CASE WHEN s.slot_name IS NOT NULL AND s.database IS DISTINCT FROM pg_catalog.current_database()" \
	" THEN coalesce(s.database::text, '') END" \
	" FROM (VALUES (1)) one (n) LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = %s"

/* what is here */
#define SUBSCRIPTION_QUERY \
	"SELECT s.subenabled, s.subconninfo, coalesce(s.subslotname, '')," \
	" coalesce(pg_catalog.to_jsonb(s) ->> 'suborigin', 'any'), s.subpublications::text" \
	" FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid" \
	" WHERE d.datname = pg_catalog.current_database() AND s.subname = %s"

#define PUBLISHED_QUERY \
	"SELECT pg_catalog.string_agg(pg_catalog.format('%%I.%%I', t.schemaname, t.tablename), ', '" \
	" ORDER BY t.schemaname::text COLLATE \"C\", t.tablename::text COLLATE \"C\")" \
	" FROM pg_catalog.pg_publication_tables t WHERE t.pubname = %s"

/* of what the peer publishes, that which merges there */
#define CONVERGING_QUERY \
	"SELECT pg_catalog.format('%%I.%%I', p.schemaname, p.tablename)" \
	" FROM pg_catalog.pg_publication_tables p JOIN consistency.attached_tables a" \
	" ON a.relation = pg_catalog.format('%%I.%%I', p.schemaname, p.tablename)::pg_catalog.regclass" \
	" WHERE p.pubname = %s"

#define ATTACHED_QUERY \
	"SELECT FROM consistency.attached_tables a WHERE a.relation = pg_catalog.to_regclass(%s)"

#define SUBSCRIBED_QUERY \
	"SELECT pg_catalog.string_agg(pg_catalog.format('%%I.%%I', n.nspname, c.relname), ', '" \
	" ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\")" \
	" FROM pg_catalog.pg_subscription s" \
	" JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid" \
	" JOIN pg_catalog.pg_class c ON c.oid = r.srrelid" \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" WHERE s.subname = %s"

/* Everything about one subscription */
typedef struct Subscribing
{
	MemberCommands commands;
	const char *group;
	const char *peer;
	const char *origin;
	const char *publication;	/* the peer's */
	const char *name;			/* of the subscription */
	const char *slot;			/* at the peer */
	Oid			serverid;
	const char *conninfo;
	const char *redacted;		/* the same, to be shown */
	bool		published;		/* the peer has the publication */
	bool		slot_exists;
	bool		slot_is_lost;
	TextRow    *existing;		/* see SUBSCRIPTION_QUERY; NULL: none */
} Subscribing;

static void look(Subscribing *sub);
static void refuse_unattached(const Subscribing *sub);
static bool make_slot(const Subscribing *sub);
static void create(const Subscribing *sub, bool slot_is_new);
static void mend(const Subscribing *sub);
static void refresh(const Subscribing *sub);
static const char *one_text(List *rows);

PG_FUNCTION_INFO_V1(consistency_subscribe_member);

/*
 * consistency.subscribe_member(group_name text, member text, peer text,
 *								origin text, resync boolean, dry_run boolean)
 */
Datum
consistency_subscribe_member(PG_FUNCTION_ARGS)
{
	Subscribing sub = {0};
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		resync = PG_GETARG_BOOL(4);
	bool		slot_is_new = false;
	NodeConnInfo conninfo;

	member_commands_begin(&sub.commands, fcinfo, member, PG_GETARG_BOOL(5));
	sub.group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	sub.peer = text_to_cstring(PG_GETARG_TEXT_PP(2));
	sub.origin = text_to_cstring(PG_GETARG_TEXT_PP(3));
	group_check_names(sub.group, member);
	group_check_names(sub.group, sub.peer);
	sub.publication = group_publication(sub.group);
	sub.name = group_subscription(sub.group, sub.peer);
	sub.slot = group_slot(sub.group, member);
	sub.serverid = peer_server(sub.peer, &conninfo);
	sub.conninfo = peer_conninfo(&conninfo, false);
	sub.redacted = peer_conninfo(&conninfo, true);
	if (!sub.commands.dry_run)
		group_lock();
	look(&sub);
	refuse_unattached(&sub);

	if (!sub.slot_exists || sub.slot_is_lost)
		slot_is_new = make_slot(&sub);
	if (sub.existing && (slot_is_new || resync))
	{
		leave_drop_subscription(&sub.commands, sub.name, sub.existing->values[0][0] == 't');
		sub.existing = NULL;
	}
	if (sub.existing == NULL)
		create(&sub, slot_is_new);
	else
		mend(&sub);
	return (Datum) 0;
}

/* What is there already? */
static void
look(Subscribing *sub)
{
	TextRow    *row;

	row = linitial(peer_select(sub->serverid, sub->peer,
							   psprintf(PEER_QUERY, group_literal(sub->group),
										group_literal(sub->publication),
										group_literal(sub->slot))));
	if (row->values[0] && strcmp(row->values[0], sub->peer) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" leads to member \"%s\"", sub->peer, row->values[0]),
				 errhint("Name servers as the members are.")));
	sub->published = row->values[1][0] == 't';
	if (!sub->published && !sub->commands.dry_run)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("member \"%s\" has no publication \"%s\" yet", sub->peer, sub->publication),
				 errhint("SELECT * FROM consistency.join_group(%s, ...); at that member.",
						 quote_literal_cstr(sub->group))));
	if (row->values[4])
		group_refuse_slot(sub->slot, sub->peer, row->values[4]);
	sub->slot_exists = row->values[2][0] == 't';
	sub->slot_is_lost = row->values[3] && row->values[3][0] == 't';
	sub->existing = group_select_row(psprintf(SUBSCRIPTION_QUERY, group_literal(sub->name)));
	if (sub->existing && strcmp(sub->existing->values[4], psprintf("{%s}", sub->publication)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("subscription \"%s\" is to other publications: %s",
						sub->name, sub->existing->values[4]),
				 errhint("Drop it, or give the group another name.")));
}

/* What merges there has to merge here, or the first conflict stops all. */
static void
refuse_unattached(const Subscribing *sub)
{
	ListCell   *cell;

	foreach(cell, peer_select(sub->serverid, sub->peer,
							  psprintf(CONVERGING_QUERY, group_literal(sub->publication))))
	{
		const char *table = ((TextRow *) lfirst(cell))->values[0];

		if (group_select_row(psprintf(ATTACHED_QUERY, group_literal(table))) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table %s is published by member \"%s\", but isn't attached here",
							table, sub->peer),
					 errhint("Create it, and call consistency.attach() as it was called there.")));
	}
}

/* A slot for us at the peer, instead of one that was invalidated. */
static bool
make_slot(const Subscribing *sub)
{
	if (sub->slot_is_lost)
		(void) member_command_at_peer(&sub->commands, sub->serverid, sub->peer,
									  psprintf("SELECT pg_catalog.pg_drop_replication_slot(%s)",
											   group_literal(sub->slot)));
	(void) member_command_at_peer(&sub->commands, sub->serverid, sub->peer,
								  psprintf("SELECT pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput')",
										   group_literal(sub->slot)));
	return true;
}

/* A slot that nobody reads from keeps log for ever: none is left behind. */
static void
create(const Subscribing *sub, bool slot_is_new)
{
	char	   *command;

	command = psprintf("CREATE SUBSCRIPTION %s CONNECTION %s PUBLICATION %s WITH (create_slot = false, slot_name = %s, copy_data = true%s)",
					   quote_identifier(sub->name), group_literal(sub->redacted),
					   quote_identifier(sub->publication), group_literal(sub->slot),
					   strcmp(sub->origin, "none") == 0 ? ", origin = none" : "");
	PG_TRY();
	{
		member_command_run_secret(&sub->commands, command, sub->conninfo);
	}
	PG_CATCH();
	{
		if (slot_is_new)
		{
			List	   *rows;
			RemoteError error;

			(void) peer_query(sub->serverid,
							  psprintf("SELECT pg_catalog.pg_drop_replication_slot(%s)",
									   group_literal(sub->slot)),
							  &rows, &error);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* Make it what it ought to be. */
static void
mend(const Subscribing *sub)
{
	const char *name = quote_identifier(sub->name);

	if (strcmp(sub->existing->values[1], sub->conninfo) != 0)
		member_command_run_secret(&sub->commands,
								  psprintf("ALTER SUBSCRIPTION %s CONNECTION %s", name,
										   group_literal(sub->redacted)),
								  sub->conninfo);
	if (strcmp(sub->existing->values[3], sub->origin) != 0)
		member_command_run(&sub->commands,
						   psprintf("ALTER SUBSCRIPTION %s SET (origin = %s)", name, sub->origin));
	if (sub->existing->values[0][0] != 't')
		member_command_run(&sub->commands, psprintf("ALTER SUBSCRIPTION %s ENABLE", name));
	refresh(sub);
}

/* Does the peer publish other tables than we take? */
static void
refresh(const Subscribing *sub)
{
	const char *published;
	const char *subscribed;

	published = one_text(peer_select(sub->serverid, sub->peer,
									 psprintf(PUBLISHED_QUERY, group_literal(sub->publication))));
	subscribed = one_text(group_select(psprintf(SUBSCRIBED_QUERY, group_literal(sub->name))));
	if (strcmp(published, subscribed) != 0)
		member_command_run_alone(&sub->commands,
								 psprintf("ALTER SUBSCRIPTION %s REFRESH PUBLICATION WITH (copy_data = true)",
										  quote_identifier(sub->name)));
}

static const char *
one_text(List *rows)
{
	TextRow    *row = linitial(rows);

	return row->values[0] ? row->values[0] : "";
}
