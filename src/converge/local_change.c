/*-------------------------------------------------------------------------
 *
 * local_change.c
 *	  Changes that are made here to rows of an attached table.
 *
 * They get what merging will need: the row's version counts the change and says
 * when it was written.  What the client has written there itself is of no account.
 *
 * A column that grows (a CRDT, the highest value, one with a merge function) is
 * merged with what was there before: an UPDATE may bring a state that the client
 * has read long ago.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/rel.h"

#include "converge/conflict_queue.h"
#include "converge/key_lock.h"
#include "converge/local_change.h"
#include "converge/row_merge.h"
#include "converge/row_store.h"
#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "crdt/clock.h"
#include "crdt/replica_id.h"
#include "crdt/wire.h"

/* A change that is being stamped */
typedef struct Stamping
{
	Relation	relation;
	TableRules *rules;
	const RowImage *before;		/* NULL: nothing was there */
	RowImage   *after;
	bool		insertion;		/* by the client */
	bool		row_written;	/* a column that goes with the row has changed */
	int			last_columns;	/* how many go by their own last writer, */
	int			last_written;	/* and how many of these have changed */
} Stamping;

static Tombstone *lock_key(Relation relation, TableRules *rules, const RowImage *row);
static bool lock_row(Relation relation, TableRules *rules, const RowImage *row);
static void stamp(Stamping *stamping);
static void send_all(Stamping *stamping);
static bool look_at_column(Stamping *stamping, ColumnRule *column);
static bool join_column(Stamping *stamping, ColumnRule *column);
static bool keep_first(Stamping *stamping, ColumnRule *column);
static void stamp_column(Stamping *stamping, ColumnRule *column, Dot dot, WriteStamp write);
static WriteStamp next_write(RowVersion *version, Dot *dot);
static void check_key(Stamping *stamping);

/* --- the changes --------------------------------------------------------- */

/*
 * A row is inserted.  Returns it with its version.
 *
 * If a row with this key was deleted, it goes on from there.
 */
HeapTuple
local_insert(Relation relation, TableRules *rules, HeapTuple inserted)
{
	RowImage	row = row_image(rules, RelationGetDescr(relation), inserted);
	RowImage	before;
	RowVersion	nothing = {.length = 1};
	Stamping	stamping = {.relation = relation,.rules = rules,.after = &row,.insertion = true};
	Tombstone  *tombstone = lock_key(relation, rules, &row);
	HeapTuple	result;

	row.version = nothing;
	if (tombstone != NULL && rules->add_wins && tombstone->version.length % 2 == 1)
	{
		before = tombstone_row(rules, tombstone, row.values, NULL);
		stamping.before = &before;
	}
	else if (tombstone != NULL)
	{
		row.version = row_version_next_length(&tombstone->version);
		/* of a table where additions won when the row was deleted */
		if (row.version.length % 2 == 0)
			row.version = row_version_next_length(&row.version);
		/* for the next stamp to be above it */
		row.version.row = tombstone->version.row;
	}
	stamp(&stamping);
	result = row_image_tuple(rules, RelationGetDescr(relation), &row);
	/* Where another row is in its way, ON CONFLICT may not insert it at all. */
	if (tombstone != NULL &&
		(rules->other_indexes == NIL || !row_store_excluded(relation, result, rules->other_indexes)))
		tombstone_remove(tombstone);
	return result;
}

/*
 * Sees to it that until the row is inserted nobody inserts or deletes one with this
 * key.  Returns the tombstone that is there.
 *
 * A key that is new to us is locked itself.  Where there is a row the insertion will
 * fail, or become an update.  That row is locked as for an update: if it were
 * deleted meanwhile, ON CONFLICT would insert the row after all, and with the version
 * that it got when there was no tombstone.  Who waits for a row or a tombstone shares
 * the key, for those whose transaction he waits for may insert it again.
 */
static Tombstone *
lock_key(Relation relation, TableRules *rules, const RowImage *row)
{
	char	   *key = row_text_key(rules, row->values);
	bool		exclusive = key_lock_try_exclusive(RelationGetRelid(relation), key);

	for (;;)
	{
		Tombstone  *tombstone;
		bool		found;

		if (exclusive && !row_store_any(relation, rules->key_index, row->values) && !tombstone_any(rules, key))
			return NULL;
		key_lock_shared(RelationGetRelid(relation), key);
		/* for a row that this very statement has inserted */
		CommandCounterIncrement();
		found = lock_row(relation, rules, row);
		tombstone = found ? NULL : tombstone_find(rules, key);
		if (found || tombstone != NULL)
			return tombstone;
		key_lock_exclusive(RelationGetRelid(relation), key);
		exclusive = true;
	}
}

/* Lock the row with this key, as an update does; false if there is none. */
static bool
lock_row(Relation relation, TableRules *rules, const RowImage *row)
{
	RowStore   *store = row_store_open(relation, rules->key_index);
	bool		found = row_store_find(store, row->values, rules->keys, rules->nkeys, LockTupleNoKeyExclusive) != NULL;

	row_store_close(store);
	return found;
}

/* A row is updated.  Returns what it is to be. */
HeapTuple
local_update(Relation relation, TableRules *rules, HeapTuple before, HeapTuple after)
{
	RowImage	row_before = row_image(rules, RelationGetDescr(relation), before);
	RowImage	row_after = row_image(rules, RelationGetDescr(relation), after);
	Stamping	stamping = {.relation = relation,.rules = rules,.before = &row_before,.after = &row_after};

	check_key(&stamping);
	stamp(&stamping);
	return row_image_tuple(rules, RelationGetDescr(relation), &row_after);
}

/* A row is deleted: leave a tombstone. */
void
local_delete(Relation relation, TableRules *rules, HeapTuple deleted)
{
	RowImage	row = row_image(rules, RelationGetDescr(relation), deleted);
	RowVersion	version = row.version;
	Jsonb	   *image = NULL;
	WriteStamp	write;
	Dot			dot;

	write = next_write(&version, &dot);
	if (rules->add_wins)
	{
		/* It wrote no column: those of a row that lives on stay as they were. */
		version.deleted = version.seen;
		image = row_text_image(rules, row.values, row.nulls);
	}
	else
	{
		version.length = crdt_count_sum(version.length, 1);
		version.row = write;
		version.ncolumns = 0;
		version.nvalues = 0;
	}
	tombstone_put(rules, row_text_key(rules, row.values), &version, image);
}

/* --- stamps -------------------------------------------------------------- */

/* Give the row the version that says what has changed, if anything has. */
static void
stamp(Stamping *stamping)
{
	TableRules *rules = stamping->rules;
	RowImage   *after = stamping->after;
	bool	   *changed = palloc0(sizeof(bool) * rules->ncolumns);
	bool		any = stamping->insertion;
	WriteStamp	write;
	Dot			dot;

	if (stamping->before != NULL)
		after->version = stamping->before->version;
	for (int i = 0; i < rules->ncolumns; i++)
	{
		changed[i] = look_at_column(stamping, &rules->columns[i]);
		any |= changed[i];
	}
	if (!any)
		return;
	if (stamping->row_written)
		send_all(stamping);

	write = next_write(&after->version, &dot);
	/* One stamp for all says the same in fewer bytes. */
	if (stamping->row_written || stamping->insertion ||
		(stamping->last_written > 0 && stamping->last_written == stamping->last_columns))
		after->version.row = write;
	for (int i = 0; i < rules->ncolumns; i++)
	{
		if (changed[i])
			stamp_column(stamping, &rules->columns[i], dot, write);
	}
}

/*
 * Replication doesn't send a long value that hasn't changed.  But the row's stamp
 * speaks for it: so it is written, and sent, anew.
 */
static void
send_all(Stamping *stamping)
{
	RowImage   *after = stamping->after;

	for (int i = 0; i < stamping->rules->ncolumns; i++)
	{
		if (stamping->rules->columns[i].rule == RULE_LAST_OF_ROW && row_is_stored_elsewhere(&stamping->rules->columns[i], after))
			after->values[i] = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(after->values[i])));
	}
}

/* Has it changed?  What only grows is made to be no less than it was. */
static bool
look_at_column(Stamping *stamping, ColumnRule *column)
{
	bool		is_last = column->rule == RULE_LAST;

	if (column->rule == RULE_NOTHING || column->rule == RULE_KEY || column->rule == RULE_VERSION)
		return false;
	stamping->last_columns += is_last;
	if (stamping->before == NULL)
		return true;
	if (row_same_value(column, stamping->before, stamping->after))
		return column->rule == RULE_MULTI_VALUE &&
			conflict_queue_decides(RelationGetRelid(stamping->relation), column->name);
	switch (column->rule)
	{
		case RULE_CRDT:
		case RULE_HIGHEST:
		case RULE_LOWEST:
		case RULE_FUNCTION:
			return join_column(stamping, column);
		case RULE_FIRST:
			return keep_first(stamping, column);
		case RULE_LAST_OF_ROW:
			stamping->row_written = true;
			return true;
		default:
			stamping->last_written += is_last;
			return true;
	}
}

static bool
join_column(Stamping *stamping, ColumnRule *column)
{
	int			i = column->number - 1;
	bool		isnull;
	Datum		joined = row_column_join(column, stamping->relation, stamping->before, stamping->after, &isnull);

	stamping->after->values[i] = joined;
	stamping->after->nulls[i] = isnull;
	return !row_same_value(column, stamping->before, stamping->after);
}

/* A value that was set stays; who inserts a row again doesn't know of it. */
static bool
keep_first(Stamping *stamping, ColumnRule *column)
{
	int			i = column->number - 1;

	if (stamping->before->nulls[i])
		return true;
	if (!stamping->insertion)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of table \"%s\" keeps its first value",
						column->name, RelationGetRelationName(stamping->relation)),
				 errhint("Leave the column as it is, or attach the table with another rule for it.")));
	stamping->after->values[i] = stamping->before->values[i];
	stamping->after->nulls[i] = false;
	return false;
}

static void
stamp_column(Stamping *stamping, ColumnRule *column, Dot dot, WriteStamp write)
{
	RowImage   *after = stamping->after;
	int			i = column->number - 1;

	switch (column->rule)
	{
		case RULE_LAST:
			/* Below the row's stamp it would say nothing. */
			if (write_stamp_compare(write, after->version.row) > 0)
				row_version_set_column(&after->version, column->name, false, write);
			break;
		case RULE_FIRST:
			if (!after->nulls[i])
				row_version_set_column(&after->version, column->name, true, write);
			break;
		case RULE_MULTI_VALUE:
			row_version_assign(&after->version, column->name, dot, write,
							   after->nulls[i] ? NULL : row_text_value(column, after->values[i]));
			break;
		default:
			break;
	}
}

/* Count a change by this replica. */
static WriteStamp
next_write(RowVersion *version, Dot *dot)
{
	WriteStamp	write;

	write.replica = replica_id_own();
	write.stamp = (uint64) clock_next((int64) row_version_latest(version));
	*dot = row_version_event(version, write.replica);
	write.event = dot->counter;
	return write;
}

/* A key that changes would be a row that goes at one member and comes at another. */
static void
check_key(Stamping *stamping)
{
	TableRules *rules = stamping->rules;

	for (int i = 0; i < rules->nkeys; i++)
	{
		ColumnRule *column = &rules->columns[rules->keys[i] - 1];

		if (!row_same_value(column, stamping->before, stamping->after))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot change column \"%s\" of the primary key of attached table \"%s\"",
							column->name, RelationGetRelationName(stamping->relation)),
					 errhint("Delete the row, and insert it with the other key.")));
	}
}
