/*-------------------------------------------------------------------------
 *
 * leave_group.c
 *	  consistency.leave_group(): takes a member out of its group.
 *
 * If it answers, it says goodbye first, and nobody forgets it before he has got
 * that.  One that doesn't answer is forgotten with what was got from it.  Its
 * replica ids are retired once every remaining member has confirmed; a call is
 * good for as much of that as can be reached, and may be repeated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "core/nap.h"
#include "group/group.h"

/* for the last message to come, and for confirmations */
#define PATIENCE_MS 10000
#define LONGEST_NAP_US 200000

#define MARKER_QUERY \
	"SELECT r.stamp FROM consistency.group_reports r" \
	" WHERE r.group_name = %s AND r.about = %s AND r.by = r.about AND r.state = 'left'"

typedef struct Leaving
{
	GroupRun	run;
	const char *leaver;
	bool		dry_run;
	List	   *members;
	GroupMember *leaving;		/* NULL: not declared here */
	char	   *marker;			/* stamp of its last message; "0": none */
} Leaving;

static GroupMember *find(const List *members, const char *name);
static GroupMember *find_remaining(const Leaving *leaving);
static bool depart(Leaving *leaving);
static bool forget(Leaving *leaving);
static bool query_member(const GroupMember *member, const char *query, List **rows);
static void await_retirement(Leaving *leaving);
static bool is_retired(const Leaving *leaving, const GroupMember *member);

PG_FUNCTION_INFO_V1(consistency_leave_group);

/*
 * consistency.leave_group(group_name text, member text, dry_run boolean)
 */
Datum
consistency_leave_group(PG_FUNCTION_ARGS)
{
	Leaving		leaving = {0};
	const char *own;
	bool		forgotten;

	InitMaterializedSRF(fcinfo, 0);
	group_refuse_here("consistency.leave_group()");
	leaving.run.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	leaving.run.group = text_to_cstring(PG_GETARG_TEXT_PP(0));
	leaving.leaver = text_to_cstring(PG_GETARG_TEXT_PP(1));
	leaving.dry_run = PG_GETARG_BOOL(2);
	leaving.marker = "0";
	own = group_own_name(leaving.run.group);
	if (own == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("this database is in no group \"%s\"", leaving.run.group)));
	if (group_select_row(psprintf("SELECT FROM consistency.group_members m WHERE m.group_name = %s AND m.member = %s",
								  group_literal(leaving.run.group), group_literal(leaving.leaver))) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("group \"%s\" has no member \"%s\"", leaving.run.group, leaving.leaver),
				 errhint("SELECT member, state FROM consistency.group_members;")));

	leaving.members = group_ask_members(&leaving.run, own);
	leaving.leaving = find(leaving.members, leaving.leaver);
	if (!depart(&leaving))
		return (Datum) 0;
	forgotten = forget(&leaving);
	if (!leaving.dry_run)
		await_retirement(&leaving);
	if (forgotten && leaving.leaving && leaving.leaving->answers && leaving.leaving->own_name)
		(void) group_ask_member(&leaving.run, leaving.leaving,
								psprintf("SELECT * FROM consistency.disband_member(%s, %s)",
										 group_literal(leaving.run.group),
										 leaving.dry_run ? "true" : "false"));
	return (Datum) 0;
}

static GroupMember *
find(const List *members, const char *name)
{
	ListCell   *cell;

	foreach(cell, members)
	{
		GroupMember *member = lfirst(cell);

		if (strcmp(member->name, name) == 0)
			return member;
	}
	return NULL;
}

/* Somebody who stays and answers: ourselves if we do. */
static GroupMember *
find_remaining(const Leaving *leaving)
{
	ListCell   *cell;

	foreach(cell, leaving->members)
	{
		GroupMember *member = lfirst(cell);

		if (member != leaving->leaving && member->answers && member->own_name)
			return member;
	}
	return NULL;
}

/* Let it say goodbye.  One that can't is gone; one that fails at it is not. */
static bool
depart(Leaving *leaving)
{
	List	   *rows;

	if (leaving->leaving == NULL || !leaving->leaving->answers || leaving->leaving->own_name == NULL)
		return true;
	if (!group_ask_member(&leaving->run, leaving->leaving,
						  psprintf("SELECT * FROM consistency.depart_member(%s, %s)",
								   group_literal(leaving->run.group),
								   leaving->dry_run ? "true" : "false")))
		return false;
	if (query_member(leaving->leaving,
					 psprintf(MARKER_QUERY, group_literal(leaving->run.group),
							  group_literal(leaving->leaver)),
					 &rows) && rows != NIL)
		leaving->marker = ((TextRow *) linitial(rows))->values[0];
	return true;
}

/* Let the others forget it.  False unless all have. */
static bool
forget(Leaving *leaving)
{
	bool		all = true;
	ListCell   *cell;

	foreach(cell, leaving->members)
	{
		const GroupMember *member = lfirst(cell);

		if (member == leaving->leaving)
			continue;
		if (!member->answers || member->own_name == NULL)
		{
			all = all && member->answers;
			continue;
		}
		if (!group_ask_member(&leaving->run, member,
							  psprintf("SELECT * FROM consistency.forget_member(%s, %s, %s, %d, %s)",
									   group_literal(leaving->run.group),
									   group_literal(leaving->leaver), leaving->marker,
									   PATIENCE_MS, leaving->dry_run ? "true" : "false")))
			all = false;
	}
	return all;
}

/* Ask a member without showing it. */
static bool
query_member(const GroupMember *member, const char *query, List **rows)
{
	RemoteError error;

	if (OidIsValid(member->serverid))
		return peer_query(member->serverid, query, rows, &error);
	return own_session_query(query, rows, &error);
}

/* The members that answer hear of each other's word, and confirm. */
static void
await_retirement(Leaving *leaving)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);
	const GroupMember *witness = find_remaining(leaving);
	char	   *query = psprintf("SELECT consistency.report_progress(%s)",
								 group_literal(leaving->run.group));
	int			nap_us = 10000;
	List	   *rows;
	ListCell   *cell;

	if (witness == NULL)
		return;
	while (!is_retired(leaving, witness) && GetCurrentTimestamp() < deadline)
	{
		bool		all = true;

		foreach(cell, leaving->members)
		{
			const GroupMember *member = lfirst(cell);

			if (member == leaving->leaving)
				continue;
			if (!member->answers)
				all = false;
			else if (member->own_name)
				(void) query_member(member, query, &rows);
		}
		if (!all)
			break;
		(void) nap(&nap_us, LONGEST_NAP_US, deadline, PG_WAIT_EXTENSION);
	}
	group_show(&leaving->run, leaving->leaver, NULL,
			   is_retired(leaving, witness) ? "its replica ids are retired" :
			   "its replica ids aren't retired yet: see consistency.group_members, and call this again");
}

static bool
is_retired(const Leaving *leaving, const GroupMember *member)
{
	List	   *rows;

	return query_member(member,
						psprintf("SELECT m.state FROM consistency.group_members m"
								 " WHERE m.group_name = %s AND m.member = %s AND m.state = 'retired'",
								 group_literal(leaving->run.group), group_literal(leaving->leaver)),
						&rows) && rows != NIL;
}
