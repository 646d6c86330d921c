/*-------------------------------------------------------------------------
 *
 * tombstone_purge.c
 *	  consistency.purge_tombstones(): removes what nobody needs any more.
 *
 * A tombstone keeps out the rows that are older than the deletion, as long as such
 * a row may still come.  And whoever inserts the key again goes on from it; so who
 * has removed it may insert a row that looks older than the tombstones of others.
 * Therefore it goes in two steps, which each member takes by himself.  In each call
 * a member begins a round: it notes the tombstones that have come since the last
 * one, and tells the group the round's number and which rounds of the others it has
 * got.  That travels in the stream of its changes: who has got a round has got
 * whatever was sent before, those tombstones among them.
 *
 * 1. A tombstone is settled here once every other member has told that it has got
 *	  the round in which it was noted here.  They all have it, then; and what they
 *	  had sent before they got it is here, as it is ahead of what they have told.
 *	  No older row comes any more.  From now on, a row that comes and doesn't go on
 *	  from the tombstone is a new one, by somebody who is further (see
 *	  meet_tombstone() in converge/replicated_change.c).
 * 2. It is removed once it is settled at every other member.  Each tells for which
 *	  rounds of the others that is so: for those it had got by its own latest round
 *	  that all have got.
 *
 * Members that have left count until they are retired, members that are away count
 * on: nothing is removed meanwhile.  A word that was given when others were counted
 * isn't relied on.
 *
 * Where the same key is inserted at two members at a time, and one has removed the
 * tombstone and the other hasn't, the latter's row is of a later incarnation, and
 * replaces the former's.  A new member that brings rows of its own for keys whose
 * tombstones are settled at some members only should not rely on them before
 * consistency.compare() has found no difference.
 *
 * It needs that changes are sent on (origin any), since what one member has told
 * says nothing of other members' changes otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "group/group.h"

#define FORGET_NOTES \
	"DELETE FROM consistency.%s n WHERE NOT EXISTS (" \
	" SELECT FROM consistency.tombstones t" \
	" WHERE t.relation = n.relation AND t.key = n.key AND t.version::text = n.version::text)"

#define COUNT \
	"UPDATE consistency.groups g" \
	"   SET settled_round = consistency.group_acknowledged(g.group_name)," \
	"       counted = (SELECT array_agg(m.member ORDER BY m.member COLLATE \"C\") FROM consistency.group_members m" \
	"                   WHERE m.group_name = g.group_name AND m.state <> 'retired')" \
	" WHERE g.group_name = %s"

#define SETTLE \
	"INSERT INTO consistency.settled_tombstones (relation, key, version)" \
	" SELECT n.relation, n.key, n.version FROM consistency.tombstone_rounds n, consistency.groups g" \
	"  WHERE g.group_name = %s AND n.round <= g.settled_round" \
	" ON CONFLICT (relation, key) DO NOTHING"

#define BEGIN_ROUND \
	"INSERT INTO consistency.group_rounds (group_name, round, received)" \
	" SELECT g.group_name, consistency.clock_next((SELECT max(r.stamp) FROM consistency.group_reports r" \
	"                                               WHERE r.group_name = g.group_name))," \
	"        coalesce((SELECT jsonb_object_agg(r.by, r.round) FROM consistency.group_reports r" \
	"                   WHERE r.group_name = g.group_name AND r.about = r.by AND r.by <> g.member" \
	"                     AND r.round IS NOT NULL), '{}')" \
	"   FROM consistency.groups g" \
	"  WHERE g.group_name = %s AND consistency.group_is_ready(g.group_name)" \
	" RETURNING round"

#define NOTE \
	"INSERT INTO consistency.tombstone_rounds (relation, key, version, round)" \
	" SELECT t.relation, t.key, t.version, %s FROM consistency.tombstones t" \
	" ON CONFLICT (relation, key) DO NOTHING"

/* Of older rounds than the settled one nobody is told any more. */
#define FORGET_ROUNDS \
	"DELETE FROM consistency.group_rounds o USING consistency.groups g" \
	" WHERE g.group_name = %s AND o.group_name = g.group_name" \
	"   AND o.round < (SELECT max(n.round) FROM consistency.group_rounds n" \
	"                   WHERE n.group_name = g.group_name AND n.round <= g.settled_round)"

#define PURGE \
	"WITH gone AS (" \
	"  DELETE FROM consistency.tombstones t USING consistency.tombstone_rounds n, consistency.settled_tombstones s" \
	"   WHERE n.relation = t.relation AND n.key = t.key AND n.version::text = t.version::text" \
	"     AND s.relation = t.relation AND s.key = t.key AND s.version::text = t.version::text" \
	"     AND n.round <= consistency.group_settled(%s)" \
	"  RETURNING 1)" \
	" SELECT count(*) FROM gone"

static void begin_round(const char *group);

PG_FUNCTION_INFO_V1(consistency_purge_tombstones);

/* consistency.purge_tombstones(): how many were removed */
Datum
consistency_purge_tombstones(PG_FUNCTION_ARGS)
{
	List	   *groups;
	TextRow    *row;
	char	   *group;

	PreventCommandDuringRecovery("consistency.purge_tombstones()");
	PreventCommandIfReadOnly("consistency.purge_tombstones()");
	groups = group_select("SELECT g.group_name, g.origin FROM consistency.groups g");
	if (groups == NIL)
		PG_RETURN_INT64(0);
	row = linitial(groups);
	if (list_length(groups) > 1 || strcmp(row->values[1], "any") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 list_length(groups) > 1 ?
				 errmsg("tombstones cannot be purged in a database that is in several groups") :
				 errmsg("tombstones cannot be purged in a group with origin \"none\""),
				 errhint("They stay; that costs space, and nothing else.")));

	group = group_literal(row->values[0]);
	(void) group_select("LOCK TABLE consistency.group_rounds IN SHARE ROW EXCLUSIVE MODE");
	(void) group_select(psprintf(FORGET_NOTES, "tombstone_rounds"));
	(void) group_select(psprintf(FORGET_NOTES, "settled_tombstones"));
	(void) group_select(psprintf(COUNT, group));
	(void) group_select(psprintf(SETTLE, group));
	begin_round(group);
	row = group_select_row(psprintf(PURGE, group));
	(void) group_select(psprintf("SELECT consistency.report_progress(%s)", group));
	PG_RETURN_INT64(strtoll(row->values[0], NULL, 10));
}

/* Not while rows are copied: these come in no order. */
static void
begin_round(const char *group)
{
	TextRow    *row = group_select_row(psprintf(BEGIN_ROUND, group));

	if (row)
		(void) group_select(psprintf(NOTE, row->values[0]));
	(void) group_select(psprintf(FORGET_ROUNDS, group));
}
