/*-------------------------------------------------------------------------
 *
 * key_state.c
 *	  What this member has of a key, and comparing that with what another one has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "group/key_state.h"

static void read_state(const KeyTable *table, const char *key, Snapshot snapshot, bool whole,
					   KeyState *state);
static void read_row(const KeyScan *scan, bool whole, KeyState *state);
static void read_deletion(const KeyScan *scan, const char *key, bool whole, KeyState *state);
static char *values_text(const KeyScan *scan);
static struct varlena *copy_version(const KeyScan *scan, AttrNumber number);

/*
 * key_states
 *		What is committed here of these keys, at one moment.
 */
KeyState *
key_states(const KeyTable *table, char **keys, int n, bool whole)
{
	KeyState   *states = palloc0(sizeof(KeyState) * Max(n, 1));
	Snapshot	snapshot = key_scan_snapshot();

	for (int i = 0; i < n; i++)
		read_state(table, keys[i], snapshot, whole, &states[i]);
	UnregisterSnapshot(snapshot);
	return states;
}

/* A row that is there counts, whatever is left of an earlier one. */
static void
read_state(const KeyTable *table, const char *key, Snapshot snapshot, bool whole,
		   KeyState *state)
{
	KeyScan    *scan = key_scan_key(table, false, snapshot, key);

	if (key_scan_next(scan))
		read_row(scan, whole, state);
	key_scan_end(scan);
	if (state->presence == KEY_PRESENT)
		return;
	scan = key_scan_key(table, true, snapshot, key);
	if (key_scan_next(scan))
		read_deletion(scan, key, whole, state);
	key_scan_end(scan);
}

static void
read_row(const KeyScan *scan, bool whole, KeyState *state)
{
	state->presence = KEY_PRESENT;
	state->version = copy_version(scan, scan->table->rules->version);
	state->columns = palloc(sizeof(uint64) * scan->table->ncolumns);
	(void) key_scan_digest(scan, state->columns);
	if (whole)
		state->values = values_text(scan);
}

static void
read_deletion(const KeyScan *scan, const char *key, bool whole, KeyState *state)
{
	TupleTableSlot *slot = scan->slot;
	Tombstone	tombstone;

	state->presence = KEY_DELETED;
	state->version = copy_version(scan, TOMBSTONE_VERSION);
	tombstone.version = row_version_read(state->version);
	state->settled = tombstone_is_settled(scan->table->rules, key, &tombstone);
	if (whole && !slot->tts_isnull[TOMBSTONE_IMAGE - 1])
	{
		Jsonb	   *image = DatumGetJsonbP(slot->tts_values[TOMBSTONE_IMAGE - 1]);

		state->image = JsonbToCString(NULL, &image->root, VARSIZE(image));
	}
}

/* The columns as an array of texts, in the order of their names. */
static char *
values_text(const KeyScan *scan)
{
	const KeyTable *table = scan->table;
	Datum	   *values = palloc(sizeof(Datum) * table->ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * table->ncolumns);
	int			bounds[] = {1};
	int			n = table->ncolumns;

	for (int i = 0; i < n; i++)
	{
		int			number = table->columns[i]->number - 1;

		nulls[i] = scan->slot->tts_isnull[number];
		if (!nulls[i])
			values[i] = CStringGetTextDatum(row_text_output(table->columns[i],
															scan->slot->tts_values[number]));
	}
	return OidOutputFunctionCall(F_ARRAY_OUT,
								 PointerGetDatum(construct_md_array(values, nulls, 1, &n, bounds, TEXTOID,
																	-1, false, TYPALIGN_INT)));
}

static struct varlena *
copy_version(const KeyScan *scan, AttrNumber number)
{
	return (struct varlena *) PG_DETOAST_DATUM_COPY(scan->slot->tts_values[number - 1]);
}

/* --- two members' --------------------------------------------------------- */

/*
 * key_state_equal
 *		Do two members have the same?
 *
 * That one keeps what is left of a deleted row, and the other one nothing, is no
 * difference: there comes a time when that is removed, at each on its own.
 */
bool
key_state_equal(const KeyTable *table, const KeyState *a, const KeyState *b)
{
	if (a->presence != KEY_PRESENT && b->presence != KEY_PRESENT)
		return a->presence != b->presence || a->presence == KEY_ABSENT ||
			key_state_same_version(a, b);
	return a->presence == b->presence &&
		memcmp(a->columns, b->columns, sizeof(uint64) * table->ncolumns) == 0;
}

/* Has a member seen all that another one had? */
bool
key_state_covers(const KeyState *later, const KeyState *earlier)
{
	RowVersion	one;
	RowVersion	other;
	RowVersion	merged;

	if (earlier->presence == KEY_ABSENT)
		return true;
	if (later->presence == KEY_ABSENT)
		return false;
	one = row_version_read(later->version);
	other = row_version_read(earlier->version);
	merged = row_version_merge(&one, &other);
	return row_version_equal(&merged, &one);
}

/*
 * key_state_is_outdated
 *		Of a row and a deletion: is one void where the other one is?
 *
 * As a rule merging tells.  But once a deletion is settled, members may forget it:
 * who inserts the key again then doesn't go on from it, and other members take a row
 * that doesn't for a new one.  An old row that a restored table has brought back
 * looks the same; what tells them apart is when they were written.
 */
bool
key_state_is_outdated(const KeyState *state, const KeyState *by)
{
	const KeyState *row = state->presence == KEY_PRESENT ? state : by;
	const KeyState *deletion = state->presence == KEY_PRESENT ? by : state;
	RowVersion	row_version;
	RowVersion	deletion_version;
	bool		is_new;

	if (row->presence != KEY_PRESENT || deletion->presence != KEY_DELETED || !deletion->settled)
		return false;
	row_version = row_version_read(row->version);
	deletion_version = row_version_read(deletion->version);
	is_new = row_version_order(&row_version, &deletion_version) == VERSION_AFTER ||
		row_version_latest(&row_version) > row_version_latest(&deletion_version);
	return is_new == (state == deletion);
}

bool
key_state_same_version(const KeyState *a, const KeyState *b)
{
	return key_state_covers(a, b) && key_state_covers(b, a);
}
