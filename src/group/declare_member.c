/*-------------------------------------------------------------------------
 *
 * declare_member.c
 *	  A member's first part in joining: who it is, and what it publishes.
 *
 * Deletes aren't published: tombstones say what is deleted.  TRUNCATE isn't
 * either: it is refused.  Tables are those that converge at all members, their
 * tombstones, and what members tell each other.  A table that is missing at a
 * member would stop all replication to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "group/group.h"

#define TABLES_QUERY \
	"WITH wanted AS (" \
	"  SELECT c.oid FROM pg_catalog.pg_class c" \
	"   WHERE c.relnamespace = 'consistency'::pg_catalog.regnamespace" \
	"     AND c.relname IN ('group_reports', 'tombstones')" \
	"  UNION" \
	"  SELECT t.relation FROM consistency.attached_tables t)" \
	"SELECT t.name" \
	"  FROM wanted w JOIN pg_catalog.pg_class c USING (oid)" \
	"       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	"       CROSS JOIN LATERAL pg_catalog.format('%%I.%%I', n.nspname, c.relname) t (name)" \
	" WHERE (n.nspname = 'consistency' OR t.name = ANY (%s)) AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r" \
	"                          JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid" \
	"                    WHERE p.pubname = %s AND r.prrelid = w.oid)" \
	" ORDER BY 1"

#define PUBLICATION_QUERY \
	"SELECT p.pubinsert AND p.pubupdate AND NOT p.pubdelete AND NOT p.pubtruncate AND NOT p.pubviaroot" \
	"  FROM pg_catalog.pg_publication p WHERE p.pubname = %s"

#define FOREIGN_SLOT_QUERY \
	"SELECT coalesce(s.database::text, '') FROM pg_catalog.pg_replication_slots s" \
	" WHERE s.slot_name = %s AND s.database IS DISTINCT FROM pg_catalog.current_database()"

static void refuse_foreign_slots(const char *group, const char *member, ArrayType *members);
static void write_down(const MemberCommands *commands, const char *group, const char *member,
					   const char *origin);
static void publish(const MemberCommands *commands, const char *group, const char *tables_of_all);
static void know_members(const char *group, const char *member, ArrayType *members);

PG_FUNCTION_INFO_V1(consistency_declare_member);

/*
 * consistency.declare_member(group_name text, member text, members text[],
 *							  tables text[], origin text, dry_run boolean)
 */
Datum
consistency_declare_member(PG_FUNCTION_ARGS)
{
	char	   *group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(4));
	MemberCommands commands;

	member_commands_begin(&commands, fcinfo, member, PG_GETARG_BOOL(5));
	group_check_names(group, member);
	refuse_foreign_slots(group, member, PG_GETARG_ARRAYTYPE_P(2));
	if (!commands.dry_run)
		group_lock();
	write_down(&commands, group, member, origin);
	publish(&commands, group,
			group_literal(OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(3))));
	if (!commands.dry_run)
		know_members(group, member, PG_GETARG_ARRAYTYPE_P(2));
	return (Datum) 0;
}

/* Before anything is made: are the others' slots taken by another database? */
static void
refuse_foreign_slots(const char *group, const char *member, ArrayType *members)
{
	Datum	   *names;
	int			n;

	deconstruct_array(members, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *slot = group_slot(group, TextDatumGetCString(names[i]));
		TextRow    *row = group_select_row(psprintf(FOREIGN_SLOT_QUERY, group_literal(slot)));

		if (row)
			group_refuse_slot(slot, member, row->values[0]);
	}
}

/* Who we are in the group. */
static void
write_down(const MemberCommands *commands, const char *group, const char *member,
		   const char *origin)
{
	TextRow    *row;

	row = group_select_row(psprintf("SELECT g.member, g.origin FROM consistency.groups g WHERE g.group_name = %s",
									group_literal(group)));
	if (row && strcmp(row->values[0], member) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is member \"%s\" of group \"%s\", not \"%s\"",
						row->values[0], group, member),
				 errhint("Name servers as the members are; or leave the group first: SELECT * FROM consistency.leave_group(%s, %s);",
						 quote_literal_cstr(group), quote_literal_cstr(row->values[0]))));
	if (row && strcmp(row->values[1], origin) == 0)
		return;
	member_command_run(commands,
					   psprintf("INSERT INTO consistency.groups (group_name, member, origin) VALUES (%s, %s, %s)"
								" ON CONFLICT (group_name) DO UPDATE SET origin = excluded.origin",
								group_literal(group), group_literal(member), group_literal(origin)));
}

/* The publication, with all tables that converge by now. */
static void
publish(const MemberCommands *commands, const char *group, const char *tables_of_all)
{
	const char *publication = group_publication(group);
	const char *name = quote_identifier(publication);
	TextRow    *known = group_select_row(psprintf(PUBLICATION_QUERY, group_literal(publication)));
	StringInfoData tables;
	ListCell   *cell;

	initStringInfo(&tables);
	foreach(cell, group_select(psprintf(TABLES_QUERY, tables_of_all, group_literal(publication))))
		appendStringInfo(&tables, "%s%s", tables.len ? ", " : "",
						 ((TextRow *) lfirst(cell))->values[0]);
	if (known == NULL)
		member_command_run(commands,
						   psprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert, update', publish_via_partition_root = false)",
									name, tables.data));
	else
	{
		if (known->values[0][0] != 't')
			member_command_run(commands,
							   psprintf("ALTER PUBLICATION %s SET (publish = 'insert, update', publish_via_partition_root = false)",
										name));
		if (tables.len)
			member_command_run(commands,
							   psprintf("ALTER PUBLICATION %s ADD TABLE %s", name, tables.data));
	}
}

/* Tell the others, and ourselves, who is a member. */
static void
know_members(const char *group, const char *member, ArrayType *members)
{
	Datum	   *names;
	int			n;

	deconstruct_array(members, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *name = TextDatumGetCString(names[i]);

		group_check_names(group, name);
		(void) group_select(psprintf("SELECT consistency.report_member(%s, %s, 'active')",
									 group_literal(group), group_literal(name)));
	}
	(void) group_select(psprintf("SELECT consistency.report_progress(%s)", group_literal(group)));
}
