/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Which of the rows that differ at a moment do differ.  See compare.h.
 *
 * How far a member has applied what another one sends is known by the slot that
 * it reads: what it has confirmed is committed there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "core/errors.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "group/compare.h"
#include "group/group.h"
#include "session/commit_position.h"

/* rows that change at each look are looked at so often */
#define MAX_LOOKS 4

/* naps between two looks at slots, microseconds */
#define LOOK_NAP_MIN 2000
#define LOOK_NAP_MAX 200000

/* wait for peers that nothing is known of, milliseconds */
#define UNKNOWN_WAIT_MS 1000

/* peer's name, list of tables, the table */
#define INCOMING_QUERY \
	"SELECT s.subname, s.subslotname, s.subenabled, pg_catalog.bool_and(r.srsubstate = 'r')" \
	" FROM pg_catalog.pg_subscription s" \
	" JOIN pg_catalog.pg_database d ON d.oid = s.subdbid" \
	" JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid" \
	" WHERE d.datname = pg_catalog.current_database() AND s.subslotname IS NOT NULL" \
	" AND EXISTS (SELECT FROM pg_catalog.unnest(s.subpublications) p WHERE s.subname::text = p || '_' || %s)" \
	" AND r.srrelid IN (%s)" \
	" GROUP BY s.subname, s.subslotname, s.subenabled" \
	" HAVING pg_catalog.bool_or(r.srrelid = %u)"

/* The peer's slot is named as our subscription is; without one, after the peer. */
#define OUTGOING_QUERY \
	"SELECT s.slot_name FROM pg_catalog.pg_replication_slots s" \
	" WHERE s.database = pg_catalog.current_database() AND s.slot_type = 'logical'" \
	" AND pg_catalog.starts_with(s.slot_name, 'consistency_')" \
	" AND (s.slot_name = %s OR pg_catalog.right(s.slot_name, pg_catalog.length(%s) + 1) = '_' || %s)" \
	" ORDER BY s.slot_name LIMIT 1"

/* at the peer: table, slot, table */
#define COPIED_QUERY \
	"SELECT pg_catalog.bool_and(r.srsubstate = 'r') FROM pg_catalog.pg_subscription s" \
	" JOIN pg_catalog.pg_database d ON d.oid = s.subdbid" \
	" JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid" \
	" WHERE d.datname = pg_catalog.current_database()" \
	" AND r.srrelid IN (%s::pg_catalog.regclass, 'consistency.tombstones'::pg_catalog.regclass)" \
	" AND s.subslotname = %s HAVING pg_catalog.bool_or(r.srrelid = %s::pg_catalog.regclass)"

/* position, slot */
#define CONFIRMED_QUERY \
	"SELECT s.confirmed_flush_lsn >= '%s'::pg_catalog.pg_lsn FROM pg_catalog.pg_replication_slots s" \
	" WHERE s.slot_name = %s"

/* What two members have of a key */
typedef struct Look
{
	KeyState   *here;
	KeyState   *there;
} Look;

/* How a table's changes go to and fro */
typedef struct Streams
{
	const ComparePeer *peer;
	char	   *tables;			/* list of the OIDs of what is needed there,
								 * SQL */
	char	   *slot_here;		/* that the peer reads; NULL: it doesn't */
	char	   *slot_there;		/* that we read; NULL: we don't */
	char	   *subscription;	/* ours */
	bool		enabled;
	bool		copied;			/* we have all that was there at the beginning */
} Streams;

static Look look(const ComparePeer *peer, const KeyTable *table, char **keys, int n);
static int	keep_unequal(const KeyTable *table, char **keys, Look *at, int n);
static bool differs(const Look *before, const Look *after, int i);
static Difference *make_difference(const ComparePeer *peer, const KeyTable *table,
								   const char *key, const KeyState *here, const KeyState *there);
static void wait_for_replication(const ComparePeer *peer, const KeyTable *table, int settle_ms);
static Streams find_streams(const ComparePeer *peer, const KeyTable *table);
static void find_incoming(Streams *streams, const KeyTable *table);
static void find_outgoing(Streams *streams, const KeyTable *table);
static const char *peers_table_state(Streams *streams, const KeyTable *table);
static const char *what_is_missing(Streams *streams, const KeyTable *table, const char *here,
								   const char *there);
static bool has_confirmed(TextRow *row);
static void error_behind(const Streams *streams, const char *missing, int settle_ms) pg_attribute_noreturn();

PG_FUNCTION_INFO_V1(consistency_sent_position);

/*
 * settle_differences
 *		Of rows that seem to differ between here and a peer, those that do:
 *		Difference.
 */
List *
settle_differences(const ComparePeer *peer, const KeyTable *table, char **keys, int n,
				   int settle_ms)
{
	List	   *differences = NIL;

	for (int looks = 1; n > 0; looks++)
	{
		Look		before = look(peer, table, keys, n);
		Look		after;
		int			left = 0;

		n = keep_unequal(table, keys, &before, n);
		if (n == 0)
			break;
		after = before;
		if (settle_ms > 0)
		{
			wait_for_replication(peer, table, settle_ms);
			after = look(peer, table, keys, n);
		}
		for (int i = 0; i < n; i++)
		{
			if (key_state_equal(table, &after.here[i], &after.there[i]))
				continue;
			if (settle_ms <= 0 || differs(&before, &after, i))
				differences = lappend(differences,
									  make_difference(peer, table, keys[i], &after.here[i],
													  &after.there[i]));
			else
				keys[left++] = keys[i];
		}
		n = looks < MAX_LOOKS ? left : 0;
	}
	return differences;
}

static Look
look(const ComparePeer *peer, const KeyTable *table, char **keys, int n)
{
	Look		at;

	at.here = key_states(table, keys, n, false);
	at.there = compare_peer_states(peer, table, keys, n, false);
	return at;
}

/* Drop keys that both have the same of; returns how many are left. */
static int
keep_unequal(const KeyTable *table, char **keys, Look *at, int n)
{
	int			left = 0;

	for (int i = 0; i < n; i++)
	{
		if (key_state_equal(table, &at->here[i], &at->there[i]))
			continue;
		keys[left] = keys[i];
		at->here[left] = at->here[i];
		at->there[left] = at->there[i];
		left++;
	}
	return left;
}

/* What isn't equal: does it differ, all having arrived that was on its way before? */
static bool
differs(const Look *before, const Look *after, int i)
{
	if (!key_state_covers(&after->there[i], &before->here[i]) ||
		!key_state_covers(&after->here[i], &before->there[i]))
		return true;
	return key_state_same_version(&after->here[i], &after->there[i]);
}

static Difference *
make_difference(const ComparePeer *peer, const KeyTable *table, const char *key,
				const KeyState *here, const KeyState *there)
{
	Difference *difference = palloc0(sizeof(Difference));

	difference->leaf = RelationGetRelid(table->relation);
	difference->peer = peer;
	difference->key = pstrdup(key);
	if (here->presence == KEY_ABSENT)
		difference->kind = "missing_here";
	else if (there->presence == KEY_ABSENT)
		difference->kind = "missing_there";
	else if (here->presence == there->presence)
		difference->kind = "different";
	else
		difference->kind = here->presence == KEY_DELETED ? "deleted_here" : "deleted_there";
	if (here->presence == KEY_DELETED && there->presence == KEY_DELETED)
		difference->columns = list_make1(pstrdup(ROW_VERSION_COLUMN));
	for (int i = 0; here->columns && there->columns && i < table->ncolumns; i++)
	{
		if (here->columns[i] != there->columns[i])
			difference->columns = lappend(difference->columns, pstrdup(table->columns[i]->name));
	}
	return difference;
}

/* --- replication ---------------------------------------------------------- */

/*
 * consistency.sent_position() returns pg_lsn
 *		What is visible now was committed before this position of the log.
 */
Datum
consistency_sent_position(PG_FUNCTION_ARGS)
{
	errors_require_preload("consistency.sent_position()");
	PG_RETURN_LSN(commit_position_bound().lsn);
}

/* Wait until each of both members has applied what the other one shows now. */
static void
wait_for_replication(const ComparePeer *peer, const KeyTable *table, int settle_ms)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), settle_ms);
	Streams		streams = find_streams(peer, table);
	const char *position = "SELECT consistency.sent_position()";
	char	   *here = group_select_row(position)->values[0];
	char	   *there = ((TextRow *) linitial(peer_select(peer->serverid, peer->name, position)))->values[0];
	int			nap_us = LOOK_NAP_MIN;
	const char *missing;

	if (streams.slot_here == NULL && streams.slot_there == NULL)
	{
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(settle_ms, UNKNOWN_WAIT_MS));
		while (nap(&nap_us, LOOK_NAP_MAX, deadline, wait_event_remote()))
			;
		return;
	}
	while ((missing = what_is_missing(&streams, table, here, there)) != NULL)
	{
		if (!streams.enabled || !nap(&nap_us, LOOK_NAP_MAX, deadline, wait_event_remote()))
			error_behind(&streams, missing, settle_ms);
	}
}

/* By the names that consistency.join_group() gives. */
static Streams
find_streams(const ComparePeer *peer, const KeyTable *table)
{
	Streams		streams = {
		.peer = peer,
		.tables = psprintf("%u, 'consistency.tombstones'::pg_catalog.regclass",
						   RelationGetRelid(table->relation)),
		.enabled = true,
		.copied = true,
	};

	find_incoming(&streams, table);
	find_outgoing(&streams, table);
	return streams;
}

/* Our subscription to the peer, if it has the table. */
static void
find_incoming(Streams *streams, const KeyTable *table)
{
	char	   *query = psprintf(INCOMING_QUERY, group_literal(streams->peer->name),
								 streams->tables, RelationGetRelid(table->relation));
	TextRow    *row = group_select_row(query);

	if (row == NULL)
		return;
	streams->subscription = row->values[0];
	streams->slot_there = row->values[1];
	streams->enabled = row->values[2][0] == 't';
	streams->copied = row->values[3][0] == 't';
}

/* The slot that the peer reads from us, if its subscription has the table. */
static void
find_outgoing(Streams *streams, const KeyTable *table)
{
	const char *name = streams->subscription ? streams->subscription : streams->peer->name;
	TextRow    *row = group_select_row(psprintf(OUTGOING_QUERY, group_literal(name),
												group_literal(name), group_literal(name)));

	if (row == NULL)
		return;
	streams->slot_here = row->values[0];
	if (peers_table_state(streams, table) == NULL)
		streams->slot_here = NULL;
}

/* Has the peer copied the table?  "t" or "f"; NULL: it doesn't subscribe to it. */
static const char *
peers_table_state(Streams *streams, const KeyTable *table)
{
	const char *leaf = quote_literal_cstr(key_table_name(RelationGetRelid(table->relation)));
	char	   *query = psprintf(COPIED_QUERY, leaf, group_literal(streams->slot_here), leaf);
	List	   *rows = peer_select(streams->peer->serverid, streams->peer->name, query);

	return rows == NIL ? NULL : ((TextRow *) linitial(rows))->values[0];
}

/* What the members haven't told each other yet; NULL: nothing. */
static const char *
what_is_missing(Streams *streams, const KeyTable *table, const char *here, const char *there)
{
	const char *name = streams->peer->name;
	List	   *rows;

	if (streams->slot_there && !streams->copied)
	{
		find_incoming(streams, table);
		if (!streams->copied)
			return psprintf("The table is still being copied from \"%s\".", name);
	}
	if (streams->slot_here)
	{
		const char *copied = peers_table_state(streams, table);

		if (copied && copied[0] != 't')
			return psprintf("The table is still being copied to \"%s\".", name);
		if (!has_confirmed(group_select_row(psprintf(CONFIRMED_QUERY, here,
													 group_literal(streams->slot_here)))))
			return psprintf("\"%s\" has not applied yet what this member had written.", name);
	}
	if (streams->slot_there == NULL)
		return NULL;
	rows = peer_select(streams->peer->serverid, name,
					   psprintf(CONFIRMED_QUERY, there, group_literal(streams->slot_there)));
	if (!has_confirmed(rows == NIL ? NULL : linitial(rows)))
		return psprintf("This member has not applied yet what \"%s\" had written.", name);
	return NULL;
}

/* No row: the slot is gone. */
static bool
has_confirmed(TextRow *row)
{
	return row != NULL && row->values[0] != NULL && row->values[0][0] == 't';
}

static void
error_behind(const Streams *streams, const char *missing, int settle_ms)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
			 streams->enabled ?
			 errmsg("replication between this member and \"%s\" has not caught up within %d ms",
					streams->peer->name, settle_ms) :
			 errmsg("subscription \"%s\" is disabled", streams->subscription),
			 errdetail_internal("%s", missing),
			 errhint("The view consistency.group_members shows how members are connected. With settle => '0', rows that differ right now are taken for differences.")));
}
