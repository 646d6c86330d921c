/*-------------------------------------------------------------------------
 *
 * leave_member.c
 *	  A member's parts when one leaves.
 *
 * Who leaves says so in a last message, and takes no more (depart_member).  The
 * others await that message: who has it has all that the leaving one has ever
 * sent.  Then they drop what connects them to it (forget_member), and it drops
 * the rest (disband_member).  Of one that died there is no last message: what its
 * neighbours know of it they have passed on, see group.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "core/nap.h"
#include "group/group.h"

#define LONGEST_NAP_US 50000

/* who reads from a slot comes back soon after it was told to go */
#define LONGEST_SLOT_NAP_US 4000

/* a walsender ends when its client goes, or is told to */
#define SLOT_LIMIT_MS 10000

/* what a member knows of a group */
static const char *const group_tables[] = {"group_reports", "group_rounds", "groups"};

#define SUBSCRIPTIONS_QUERY \
	"SELECT s.subname, s.subenabled FROM pg_catalog.pg_subscription s" \
	" JOIN pg_catalog.pg_database d ON d.oid = s.subdbid" \
	" WHERE d.datname = pg_catalog.current_database() AND %s = ANY (s.subpublications) ORDER BY 1"

#define LEFT_QUERY \
	"SELECT FROM consistency.group_reports r" \
	" WHERE r.group_name = %s AND r.about = %s AND r.by = r.about AND r.state = 'left'"

#define SUBSCRIBED_QUERY \
	"SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid" \
	" WHERE d.datname = pg_catalog.current_database() AND s.subname = %s"

static void drop_subscriptions(const MemberCommands *commands, const char *group,
							   const char *peer);
static void drop_slot(const MemberCommands *commands, const char *slot);
static bool drop_slot_now(const char *slot);
static bool takes_from(const char *group, const char *member);
static bool await_marker(const char *group, const char *member, int64 marker, int limit_ms);
static const char *require_own_name(const char *group);

PG_FUNCTION_INFO_V1(consistency_depart_member);
PG_FUNCTION_INFO_V1(consistency_forget_member);
PG_FUNCTION_INFO_V1(consistency_disband_member);

/*
 * consistency.depart_member(group_name text, dry_run boolean)
 *		At the one who leaves: take no more, and send the last message.
 */
Datum
consistency_depart_member(PG_FUNCTION_ARGS)
{
	char	   *group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *member = require_own_name(group);
	MemberCommands commands;

	member_commands_begin(&commands, fcinfo, member, PG_GETARG_BOOL(1));
	if (!commands.dry_run)
		group_lock();
	drop_subscriptions(&commands, group, NULL);
	if (group_select_row(psprintf(LEFT_QUERY, group_literal(group), group_literal(member))) != NULL)
		return (Datum) 0;		/* another message would come nowhere, perhaps */
	if (!commands.dry_run)
	{
		(void) group_select(psprintf("SELECT consistency.report_progress(%s)", group_literal(group)));
		(void) group_select(psprintf("SELECT consistency.report_member(%s, %s, 'left')",
									 group_literal(group), group_literal(member)));
	}
	member_command_show(&commands, member, NULL,
						commands.dry_run ? "would say that it leaves" : "says that it leaves");
	return (Datum) 0;
}

/*
 * consistency.forget_member(group_name text, member text, marker bigint,
 *							 patience integer, dry_run boolean)
 *		At one who stays.  The marker is the stamp of the last message; 0: there
 *		is none.  It is awaited for so many milliseconds, unless we take nothing
 *		from it any more.
 */
Datum
consistency_forget_member(PG_FUNCTION_ARGS)
{
	char	   *group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *left = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int64		marker = PG_GETARG_INT64(2);
	const char *member = require_own_name(group);
	MemberCommands commands;

	member_commands_begin(&commands, fcinfo, member, PG_GETARG_BOOL(4));
	if (strcmp(left, member) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this is member \"%s\" itself", left)));
	if (!commands.dry_run)
		group_lock();
	if (marker != 0 && !commands.dry_run && takes_from(group, left) &&
		!await_marker(group, left, marker, PG_GETARG_INT32(3)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the last message of member \"%s\" has not come yet", left),
				 errhint("Wait for the subscription \"%s\", or mend it; then call consistency.leave_group() again.",
						 group_subscription(group, left))));
	drop_subscriptions(&commands, group, left);
	drop_slot(&commands, group_slot(group, left));
	if (!commands.dry_run)
	{
		(void) group_select(psprintf("SELECT consistency.report_member(%s, %s, 'removed')",
									 group_literal(group), group_literal(left)));
		(void) group_select(psprintf("SELECT consistency.report_progress(%s)", group_literal(group)));
	}
	return (Datum) 0;
}

/*
 * consistency.disband_member(group_name text, dry_run boolean)
 *		At the one who has left: nobody reads from it any more.
 */
Datum
consistency_disband_member(PG_FUNCTION_ARGS)
{
	char	   *group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *member = require_own_name(group);
	MemberCommands commands;
	ListCell   *cell;

	member_commands_begin(&commands, fcinfo, member, PG_GETARG_BOOL(1));
	if (!commands.dry_run)
		group_lock();
	drop_subscriptions(&commands, group, NULL);
	foreach(cell, group_select(psprintf("SELECT DISTINCT r.about FROM consistency.group_reports r"
										" WHERE r.group_name = %s AND r.about <> %s ORDER BY 1",
										group_literal(group), group_literal(member))))
		drop_slot(&commands, group_slot(group, ((TextRow *) lfirst(cell))->values[0]));
	member_command_run(&commands, psprintf("DROP PUBLICATION IF EXISTS %s",
										   quote_identifier(group_publication(group))));
	for (int i = 0; i < lengthof(group_tables); i++)
		member_command_run(&commands, psprintf("DELETE FROM consistency.%s WHERE group_name = %s",
											   group_tables[i], group_literal(group)));
	if (group_select_row("SELECT FROM consistency.groups") == NULL)
	{
		member_command_run(&commands, "DELETE FROM consistency.tombstone_rounds");
		member_command_run(&commands, "DELETE FROM consistency.settled_tombstones");
	}
	return (Datum) 0;
}

/* All of a group's subscriptions, or that to a peer. */
static void
drop_subscriptions(const MemberCommands *commands, const char *group, const char *peer)
{
	ListCell   *cell;

	foreach(cell, group_select(psprintf(SUBSCRIPTIONS_QUERY,
										group_literal(group_publication(group)))))
	{
		TextRow    *row = lfirst(cell);

		if (peer == NULL || strcmp(row->values[0], group_subscription(group, peer)) == 0)
			leave_drop_subscription(commands, row->values[0], row->values[1][0] == 't');
	}
}

/*
 * leave_drop_subscription
 *		Drop a subscription without its slot, which is the peer's to drop.
 */
void
leave_drop_subscription(const MemberCommands *commands, const char *subscription, bool enabled)
{
	const char *name = quote_identifier(subscription);

	if (enabled)
		member_command_run(commands, psprintf("ALTER SUBSCRIPTION %s DISABLE", name));
	member_command_run(commands, psprintf("ALTER SUBSCRIPTION %s SET (slot_name = NONE)", name));
	member_command_run(commands, psprintf("DROP SUBSCRIPTION %s", name));
}

/* A slot of this database, if there is one; whoever reads from it is told to go. */
static void
drop_slot(const MemberCommands *commands, const char *slot)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SLOT_LIMIT_MS);
	int			nap_us = 1000;
	const char *command = psprintf("SELECT pg_catalog.pg_drop_replication_slot(%s)",
								   group_literal(slot));

	if (group_select_row(psprintf("SELECT FROM pg_catalog.pg_replication_slots s"
								  " WHERE s.slot_name = %s AND s.database = pg_catalog.current_database()",
								  group_literal(slot))) == NULL)
		return;
	while (!commands->dry_run && !drop_slot_now(slot))
	{
		if (!nap(&nap_us, LONGEST_SLOT_NAP_US, deadline, PG_WAIT_EXTENSION))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("replication slot \"%s\" is in use", slot),
					 errhint("Drop the subscription that uses it, or end its walsender by pg_terminate_backend().")));
	}
	member_command_show(commands, commands->member, command,
						commands->dry_run ? "would run" : "done");
}

/* False: somebody uses it still. */
static bool
drop_slot_now(const char *slot)
{
	TextRow    *row;

	row = group_select_row(psprintf("SELECT CASE WHEN s.active_pid IS NULL"
									" THEN pg_catalog.pg_drop_replication_slot(s.slot_name) IS NOT NULL"
									" ELSE pg_catalog.pg_terminate_backend(s.active_pid) IS NULL END"
									" FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = %s",
									group_literal(slot)));
	return row == NULL || row->values[0][0] == 't';
}

/* Do we subscribe to a member? */
static bool
takes_from(const char *group, const char *member)
{
	return group_select_row(psprintf(SUBSCRIBED_QUERY,
									 group_literal(group_subscription(group, member)))) != NULL;
}

/* Has the last message of who leaves come?  Each look has a new snapshot. */
static bool
await_marker(const char *group, const char *member, int64 marker, int limit_ms)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), limit_ms);
	int			nap_us = 1000;

	while (group_select_row(psprintf("SELECT FROM consistency.group_reports r WHERE r.group_name = %s"
									 " AND r.about = %s AND r.by = r.about AND r.stamp >= " INT64_FORMAT,
									 group_literal(group), group_literal(member), marker)) == NULL)
	{
		if (!nap(&nap_us, LONGEST_NAP_US, deadline, PG_WAIT_EXTENSION))
			return false;
	}
	return true;
}

static const char *
require_own_name(const char *group)
{
	char	   *member = group_own_name(group);

	if (member == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("this database is in no group \"%s\"", group)));
	return member;
}
