/*-------------------------------------------------------------------------
 *
 * replicated_change.c
 *	  Rows of an attached table, and tombstones, that come from elsewhere.
 *
 * For each key there is a row here, or a tombstone, or nothing; what comes in is
 * merged with that.  Where nothing comes of it nothing is written, so that it isn't
 * sent on, and changes don't go round forever.
 *
 * Where additions win, a deletion may meet a row that has been changed
 * concurrently.  The row lives on, but who has deleted it doesn't have it any
 * more, and an update of it wouldn't reach him: so it is inserted anew, and sent
 * as that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"

#include "converge/key_lock.h"
#include "converge/replicated_change.h"
#include "converge/row_merge.h"
#include "converge/row_store.h"
#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "core/compat.h"
#include "crdt/clock.h"
#include "crdt/replica_id.h"

/* A tombstone that came in, and where it belongs */
typedef struct Burial
{
	Relation	relation;
	TableRules *rules;
	char	   *key;
	Datum	   *key_values;
	Tombstone	incoming;
} Burial;

static void heed(Relation relation, const RowImage *local, const RowImage *incoming);
static void note_own_entry(Relation relation, const RowImage *local, const RowImage *incoming);
static uint64 count_of(const Vector *vector, uint64 replica);
static void strike_unsent(TableRules *rules, const RowImage *local, RowImage *incoming);
static bool is_stamped(const ColumnRule *column);
static WriteStamp stamp_of(const ColumnRule *column, const RowVersion *version);
static ReplicatedOutcome merge_into_row(RowStore *store, TableRules *rules, HeapTuple found, const RowImage *incoming);
static HeapTuple meet_tombstone(Relation relation, TableRules *rules, RowImage *incoming, const char *key,
								Tombstone *tombstone, ReplicatedOutcome *outcome);
static void bury(RowStore *store, TableRules *rules, const RowImage *row);
static bool keep_for_later(const char *table, const char *key, struct varlena **version);
static Relation open_attached(const char *table, TableRules **rules);
static bool bury_row(Burial *burial, RowStore *store, HeapTuple found);
static bool outlives(Burial *burial, RowStore *store, const RowImage *row, RowImage *merged);
static bool merge_tombstones(Burial *burial, const Tombstone *there);
static void clear_tombstone(Burial *burial);
static void note_burial(Burial *burial, const RowImage *row, ConflictResolution resolution);

/* --- rows ---------------------------------------------------------------- */

/*
 * replicated_insert
 *		A row came in as an insertion.
 *
 * Returns what is to be inserted, or NULL if that isn't so: it was merged into the
 * row that is here, or is void.
 */
HeapTuple
replicated_insert(Relation relation, TableRules *rules, HeapTuple incoming, ReplicatedOutcome *outcome)
{
	TupleDesc	desc = RelationGetDescr(relation);
	RowImage	row = row_image(rules, desc, incoming);
	char	   *key = row_text_key(rules, row.values);
	RowStore   *store;
	HeapTuple	found;
	Tombstone  *tombstone;

	key_lock_exclusive(RelationGetRelid(relation), key);
	store = row_store_open(relation, rules->key_index);
	found = row_store_find(store, row.values, rules->keys, rules->nkeys, LockTupleExclusive);
	if (found != NULL)
		*outcome = merge_into_row(store, rules, found, &row);
	row_store_close(store);
	if (found != NULL)
		return NULL;

	heed(relation, NULL, &row);
	tombstone = tombstone_find(rules, key);
	if (tombstone != NULL)
		return meet_tombstone(relation, rules, &row, key, tombstone, outcome);
	*outcome = REPLICATED_INSERTED;
	return incoming;
}

/*
 * replicated_update
 *		A row came in as an update of the local one.
 *
 * Returns what that is to be, or NULL if it stays as it is, or is gone.
 */
HeapTuple
replicated_update(Relation relation, TableRules *rules, HeapTuple local, HeapTuple incoming)
{
	TupleDesc	desc = RelationGetDescr(relation);
	RowImage	row_local = row_image(rules, desc, local);
	RowImage	row_incoming = row_image(rules, desc, incoming);
	RowImage	merged;

	heed(relation, &row_local, &row_incoming);
	strike_unsent(rules, &row_local, &row_incoming);
	if (!row_merge(relation, rules, &row_local, &row_incoming, CONFLICT_UPDATE_UPDATE, &merged))
		return NULL;
	if (!row_version_lives(&merged.version))
	{
		RowStore   *store = row_store_open(relation, rules->key_index);

		if (row_store_find(store, merged.values, rules->keys, rules->nkeys, LockTupleExclusive) != NULL)
			bury(store, rules, &merged);
		row_store_close(store);
		return NULL;
	}
	return row_image_tuple(rules, desc, &merged);
}

/*
 * Long values that an update hasn't changed aren't sent; the tuple that came in has
 * the local ones in their place.  A stamp that speaks for such a value is known here
 * already, or comes with the value on another way, from who has written it: until
 * then what is here stays, with its stamp.
 */
static void
strike_unsent(TableRules *rules, const RowImage *local, RowImage *incoming)
{
	const RowVersion *here = &local->version;
	RowVersion	given = incoming->version;
	RowVersion	struck = given;
	bool		any = false;

	if (here->length != given.length)
		return;
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];

		if (is_stamped(column) && row_is_stored_elsewhere(column, incoming) &&
			write_stamp_compare(stamp_of(column, &given), stamp_of(column, here)) != 0)
			any = true;
	}
	if (!any)
		return;
	struck.row = here->row;
	struck.ncolumns = 0;
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];
		const RowVersion *from = row_is_stored_elsewhere(column, incoming) ? here : &given;
		WriteStamp	write = stamp_of(column, from);

		/* all of the row's columns come from one write, or none */
		if (column->rule == RULE_LAST_OF_ROW)
		{
			incoming->values[i] = local->values[i];
			incoming->nulls[i] = local->nulls[i];
		}
		if ((column->rule == RULE_LAST || column->rule == RULE_FIRST) && write.stamp > 0)
			row_version_set_column(&struck, column->name, column->rule == RULE_FIRST, write);
	}
	incoming->version = struck;
}

static bool
is_stamped(const ColumnRule *column)
{
	return column->rule == RULE_LAST_OF_ROW || column->rule == RULE_LAST || column->rule == RULE_FIRST;
}

/* The write that a column's value is of. */
static WriteStamp
stamp_of(const ColumnRule *column, const RowVersion *version)
{
	const ColumnStamp *first;
	WriteStamp	never = {0};

	if (column->rule == RULE_LAST)
		return row_version_column(version, column->name);
	if (column->rule != RULE_FIRST)
		return version->row;
	first = row_version_find_column(version, column->name);
	return first != NULL && first->first ? first->write : never;
}

static ReplicatedOutcome
merge_into_row(RowStore *store, TableRules *rules, HeapTuple found, const RowImage *incoming)
{
	TupleDesc	desc = RelationGetDescr(store->relation);
	RowImage	local = row_image(rules, desc, found);
	RowImage	merged;

	heed(store->relation, &local, incoming);
	if (!row_merge(store->relation, rules, &local, incoming, CONFLICT_INSERT_INSERT, &merged))
		return REPLICATED_UNCHANGED;
	if (!row_version_lives(&merged.version))
	{
		bury(store, rules, &merged);
		return REPLICATED_DELETED;
	}
	row_store_update(store, row_image_tuple(rules, desc, &merged));
	return REPLICATED_MERGED;
}

/* The row that was found, deleted by all that is known now. */
static void
bury(RowStore *store, TableRules *rules, const RowImage *row)
{
	row_store_delete(store);
	tombstone_put(rules, row_text_key(rules, row->values), &row->version,
				  row_text_image(rules, row->values, row->nulls));
}

/*
 * A row came in of which there is a tombstone: returns what is to be inserted.
 *
 * If the tombstone is settled, no row comes in that was sent by somebody who didn't
 * have it.  So one that doesn't go on from it is from somebody who has removed it.
 */
static HeapTuple
meet_tombstone(Relation relation, TableRules *rules, RowImage *incoming, const char *key,
			   Tombstone *tombstone, ReplicatedOutcome *outcome)
{
	RowImage	buried = tombstone_row(rules, tombstone, incoming->values, incoming);
	RowImage	merged;
	bool		changed;

	if (row_version_order(&incoming->version, &tombstone->version) != VERSION_AFTER &&
		tombstone_is_settled(rules, key, tombstone))
	{
		tombstone_remove(tombstone);
		*outcome = REPLICATED_INSERTED;
		return incoming->tuple;
	}
	changed = row_merge(relation, rules, &buried, incoming, CONFLICT_UPDATE_DELETE, &merged);
	*outcome = REPLICATED_DELETED;
	if (!changed)
		return NULL;
	tombstone_remove(tombstone);
	if (!row_version_lives(&merged.version))
	{
		tombstone_write(rules, key, &merged.version, row_text_image(rules, merged.values, merged.nulls));
		return NULL;
	}
	*outcome = REPLICATED_INSERTED;
	return row_image_tuple(rules, RelationGetDescr(relation), &merged);
}

/* --- what versions tell besides ------------------------------------------ */

/* Let the clock know of the stamps, and see whether somebody uses our id. */
static void
heed(Relation relation, const RowImage *local, const RowImage *incoming)
{
	if (!clock_witness((int64) row_version_latest(&incoming->version)))
	{
		Conflict	conflict = {
			.kind = CONFLICT_FAR_STAMP,
			.resolution = RESOLUTION_MERGED,
			.local = local == NULL ? NULL : local->tuple,
			.incoming = incoming->tuple,
			.local_version = local == NULL ? NULL : &local->version,
			.incoming_version = &incoming->version,
		};

		conflict_note(relation, &conflict);
	}
	if (local != NULL && local->version.length == incoming->version.length)
		note_own_entry(relation, local, incoming);
}

/*
 * Others know of more changes to the row by this replica than the row itself: it
 * was restored from an earlier state, or somebody else goes by the same id.  What
 * we count on under that id would be taken for what they know.
 */
static void
note_own_entry(Relation relation, const RowImage *local, const RowImage *incoming)
{
	uint64		own = replica_id_own();
	Conflict	conflict = {
		.kind = CONFLICT_OWN_ENTRY,
		.resolution = RESOLUTION_MERGED,
		.local = local->tuple,
		.incoming = incoming->tuple,
		.local_version = &local->version,
		.incoming_version = &incoming->version,
	};

	if (count_of(&incoming->version.seen, own) <= count_of(&local->version.seen, own))
		return;
	ereport(WARNING,
			(errmsg("replica id " "%" INT64_MODIFIER "x" " is not ours alone: a row of table \"%s\" came in with more changes by it than are known here",
					own, RelationGetRelationName(relation)),
			 errdetail("This server was restored from an earlier state of itself, or a copy of it runs elsewhere."),
			 errhint("Another replica id is used from now on. Call consistency.compare() for the attached tables.")));
	conflict_note(relation, &conflict);
	(void) replica_id_draw();
}

static uint64
count_of(const Vector *vector, uint64 replica)
{
	int			index = vector_find(vector, replica);

	return index < 0 ? 0 : vector->entries[index].count;
}

/* --- tombstones ---------------------------------------------------------- */

/*
 * replicated_tombstone
 *		A tombstone came in: delete the row that it is for.
 *
 * Returns whether the tombstone is to be written down, with the key, the version
 * and the image that it is to have.
 */
bool
replicated_tombstone(const char *table, char **key, struct varlena **version, Jsonb **image)
{
	Burial		burial = {0};
	RowStore   *store;
	HeapTuple	found;
	bool		keep = true;

	burial.relation = open_attached(table, &burial.rules);
	if (burial.relation == NULL)
		return keep_for_later(table, *key, version);
	burial.incoming.version = row_version_read(*version);
	burial.incoming.image = *image;
	burial.key_values = palloc0(sizeof(Datum) * burial.rules->ncolumns);
	row_text_parse_key(burial.rules, *key, burial.key_values);

	/*
	 * by hand a key can be written in other ways than the one by which it is
	 * found
	 */
	burial.key = *key = row_text_key(burial.rules, burial.key_values);

	key_lock_exclusive(RelationGetRelid(burial.relation), burial.key);
	(void) clock_witness((int64) burial.incoming.version.row.stamp);
	store = row_store_open(burial.relation, burial.rules->key_index);
	found = row_store_find(store, burial.key_values, burial.rules->keys, burial.rules->nkeys, LockTupleExclusive);
	if (found != NULL)
		keep = bury_row(&burial, store, found);
	row_store_close(store);
	if (found == NULL)
	{
		Tombstone  *there = tombstone_find(burial.rules, burial.key);

		if (there != NULL)
			keep = merge_tombstones(&burial, there);
	}
	else if (keep)
		clear_tombstone(&burial);
	*version = row_version_write(&burial.incoming.version);
	*image = burial.incoming.image;
	table_close(burial.relation, NoLock);
	return keep;
}

/* Of a table that isn't attached here, or not yet: only tombstones meet. */
static bool
keep_for_later(const char *table, const char *key, struct varlena **version)
{
	TableRules	unknown = {.name = table};
	RowVersion	incoming = row_version_read(*version);
	RowVersion	merged;
	Tombstone  *there;

	key_lock_exclusive(InvalidOid, psprintf("%s %s", table, key));
	there = tombstone_find(&unknown, key);
	if (there == NULL)
		return true;
	merged = row_version_merge(&there->version, &incoming);
	if (row_version_equal(&merged, &there->version))
		return false;
	tombstone_remove(there);
	*version = row_version_write(&merged);
	return true;
}

/* The table of this name if it is here and attached; else NULL. */
static Relation
open_attached(const char *table, TableRules **rules)
{
	RangeVar   *name = makeRangeVarFromNameList(COMPAT_QUALIFIED_NAME_LIST(table));
	Oid			id = RangeVarGetRelid(name, RowExclusiveLock, true);
	Relation	relation;

	/* by the name of a table that was dropped there may be an index, say */
	if (!OidIsValid(id) || get_rel_relkind(id) != RELKIND_RELATION)
		return NULL;
	relation = table_open(id, NoLock);
	*rules = table_rules_if_attached(relation);
	if (*rules != NULL)
		return relation;
	table_close(relation, RowExclusiveLock);
	return NULL;
}

/* There is a row: does the tombstone hold? */
static bool
bury_row(Burial *burial, RowStore *store, HeapTuple found)
{
	RowImage	row = row_image(burial->rules, RelationGetDescr(burial->relation), found);
	RowImage	merged;

	if (outlives(burial, store, &row, &merged))
		return false;
	row_store_delete(store);
	if (burial->rules->add_wins)
	{
		/*
		 * The row is the store's, and goes with it: a version that points
		 * into it mustn't.
		 */
		burial->incoming.version = row_version_read(row_version_write(&merged.version));
		burial->incoming.image = row_text_image(burial->rules, merged.values, merged.nulls);
	}
	return true;
}

/* Does the row live on?  Then it is as it has to be afterwards. */
static bool
outlives(Burial *burial, RowStore *store, const RowImage *row, RowImage *merged)
{
	RowImage	buried;
	bool		changed;

	if (!burial->rules->add_wins)
	{
		if (row->version.length > burial->incoming.version.length)
			return true;
		if (row_version_discards(&burial->incoming.version, &row->version))
			note_burial(burial, row, RESOLUTION_ROW_DELETED);
		return false;
	}
	buried = tombstone_row(burial->rules, &burial->incoming, row->values, row);
	changed = row_merge(burial->relation, burial->rules, row, &buried, CONFLICT_DELETE_UPDATE, merged);
	if (!row_version_lives(&merged->version))
		return false;
	if (changed)
	{
		note_burial(burial, row, RESOLUTION_ROW_KEPT);
		row_store_delete(store);
		row_store_insert(store, row_image_tuple(burial->rules, RelationGetDescr(burial->relation), merged));
	}
	return true;
}

/* There is a tombstone already: it makes place for one that knows more. */
static bool
merge_tombstones(Burial *burial, const Tombstone *there)
{
	TableRules *rules = burial->rules;
	RowVersion	merged = row_version_merge(&there->version, &burial->incoming.version);

	if (row_version_equal(&merged, &there->version))
		return false;
	if (rules->add_wins)
	{
		RowImage	had = tombstone_row(rules, there, burial->key_values, NULL);
		RowImage	other = tombstone_row(rules, &burial->incoming, burial->key_values, &had);
		RowImage	one = tombstone_row(rules, there, burial->key_values, &other);
		RowImage	row;

		(void) row_merge(burial->relation, rules, &one, &other, CONFLICT_UPDATE_UPDATE, &row);
		burial->incoming.image = row_text_image(rules, row.values, row.nulls);
	}
	burial->incoming.version = merged;
	tombstone_remove(there);
	return true;
}

/*
 * A row was buried that has come back behind the trigger's back, as a table does
 * that is restored: what was left of it is still there.
 */
static void
clear_tombstone(Burial *burial)
{
	Tombstone  *there = tombstone_find(burial->rules, burial->key);

	if (there == NULL || merge_tombstones(burial, there))
		return;
	burial->incoming = *there;
	tombstone_remove(there);
}

static void
note_burial(Burial *burial, const RowImage *row, ConflictResolution resolution)
{
	Conflict	conflict = {
		.kind = CONFLICT_DELETE_UPDATE,
		.resolution = resolution,
		.local = row->tuple,
		.local_version = &row->version,
		.incoming_version = &burial->incoming.version,
	};

	conflict_note(burial->relation, &conflict);
}
