/*-------------------------------------------------------------------------
 *
 * group.c
 *	  Names of a group's objects, and reading what is known of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

#include "core/extension.h"
#include "group/group.h"

static bool is_valid_name(const char *name);

/*
 * group_check_names
 *		Raise an error unless slots can be named after group and member.
 */
void
group_check_names(const char *group, const char *member)
{
	if (!is_valid_name(group))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("group name \"%s\" cannot be part of a slot's name", group),
				 errhint("Use lower case letters, digits and the underscore.")));
	if (!is_valid_name(member))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("member name \"%s\" cannot be part of a slot's name", member),
				 errhint("Use lower case letters, digits and the underscore; the server at the other members has the same name.")));
	if (strlen("consistency_") + strlen(group) + 1 + strlen(member) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("names of group \"%s\" and member \"%s\" are too long for a slot's name",
						group, member),
				 errhint("Together they may have %d letters.",
						 NAMEDATALEN - 2 - (int) strlen("consistency_"))));
}

static bool
is_valid_name(const char *name)
{
	return name[0] != '\0' &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

char *
group_publication(const char *group)
{
	return psprintf("consistency_%s", group);
}

/* The subscription to a peer, at us. */
char *
group_subscription(const char *group, const char *peer)
{
	return psprintf("consistency_%s_%s", group, peer);
}

/* The slot for a subscriber, at us. */
char *
group_slot(const char *group, const char *subscriber)
{
	return psprintf("consistency_%s_%s", group, subscriber);
}

/*
 * group_lock
 *		Nobody else changes a group here until our transaction ends.
 *
 * Two calls at a time, by two members perhaps, would both make what is missing, and
 * one of them would clean up what the other one has made.
 */
void
group_lock(void)
{
	LockDatabaseObject(RelationRelationId, extension_relation("groups"), 0, ExclusiveLock);
}

/* A slot of that name is not ours: names of slots are those of a whole cluster. */
void
group_refuse_slot(const char *slot, const char *member, const char *database)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 database[0] ?
			 errmsg("replication slot \"%s\" at member \"%s\" is one of another database, \"%s\"",
					slot, member, database) :
			 errmsg("replication slot \"%s\" at member \"%s\" is one for streaming", slot, member),
			 errhint("All databases of a cluster share the names of slots: give the groups of different databases different names.")));
}

/* Our own name in a group; NULL: we aren't in it. */
char *
group_own_name(const char *group)
{
	TextRow    *row;

	row = group_select_row(psprintf("SELECT g.member FROM consistency.groups g WHERE g.group_name = %s",
									group_literal(group)));
	return row ? row->values[0] : NULL;
}

/* A text as a literal that means the same whatever the settings are. */
char *
group_literal(const char *text)
{
	return text ? quote_literal_cstr(text) : pstrdup("NULL");
}

TextRow *
group_make_row(int ncolumns)
{
	TextRow    *row = palloc0(offsetof(TextRow, values) + ncolumns * sizeof(char *));

	row->ncolumns = ncolumns;
	return row;
}

/*
 * group_select
 *		Run a query here; its rows, as texts, in the current memory context.
 */
List *
group_select(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *rows = NIL;

	SPI_connect();
	if (SPI_execute(query, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", query);
	for (uint64 i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		TextRow    *row = group_make_row(desc->natts);

		for (int column = 0; column < desc->natts; column++)
		{
			char	   *value = SPI_getvalue(SPI_tuptable->vals[i], desc, column + 1);

			row->values[column] = value ? MemoryContextStrdup(context, value) : NULL;
		}
		rows = lappend(rows, row);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return rows;
}

/* The first row; NULL if there is none. */
TextRow *
group_select_row(const char *query)
{
	List	   *rows = group_select(query);

	return rows == NIL ? NULL : linitial(rows);
}
