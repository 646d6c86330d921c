/*-------------------------------------------------------------------------
 *
 * compare.c
 *	  consistency.compare(): which rows of an attached table differ between here and
 *	  the peers?  See compare.h.
 *
 * The table is read here by ranges of some thousand keys, and each peer is asked for
 * digests of the same ranges, down to the rows where they aren't equal (verify's
 * descent.c).  What seems to differ is gathered, and then looked at again (settle.c).
 * Each range is read by a snapshot of its own, here and there.  No row is locked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "converge/conflict_counters.h"
#include "group/compare.h"
#include "node/node_catalog.h"
#include "verify/descent.h"
#include "verify/table_access.h"

/* keys of a range, and how many of them are told apart by one number */
#define RANGE_KEYS 2048
#define BLOCK_KEYS 16

/* rows of a list that a peer sends at once */
#define LIST_KEYS 1024

/* so many rows that seem to differ are looked at again at once */
#define MAX_SUSPECTS 512

/* A range of keys, as it is here */
typedef struct KeyRange
{
	char	   *after;			/* NULL: from the first key on */
	char	   *upto;			/* NULL: to the end */
	KeyDigest  *keys;
	int			n;
} KeyRange;

/* A table that is being compared */
typedef struct Work
{
	CompareRun *run;
	KeyTable   *table;
	bool		deletions;
	MemoryContext context;		/* of a range and of what it takes */
	KeyRange	range;
	int			npeers;
	struct PeerWork *peers;
} Work;

typedef struct PeerWork
{
	Work	   *work;
	const ComparePeer *peer;
	MemoryContext context;		/* of suspects */
	List	   *suspects;		/* keys (char *) that seem to differ */
} PeerWork;

static bool compare_leaf(CompareRun *run, Oid leaf, bool go_on);
static void note_compared(CompareRun *run, Oid leaf, const ComparePoint *point);
static bool compare_keys(Work *work, ComparePoint *point);
static KeyRange read_range(Work *work, char *after);
static bool compare_range(PeerWork *peer);
static DescentRange all_blocks(const KeyRange *range);
static char *block_after(const KeyRange *range, uint32 block);
static char *block_upto(const KeyRange *range, uint32 block);
static RangeDigest blocks_digest(const KeyRange *range, DescentRange blocks);
static bool compare_parts(void *arg, DescentRange blocks, int parts, DescentVerdict *verdicts);
static bool compare_block(void *arg, uint32 block, bool *found);
static int	match_listed(PeerWork *peer, uint32 block, const KeyDigest *there, int n, bool *seen);
static void suspect(PeerWork *peer, const char *key);
static void nothing_left(void *arg, DescentRange blocks);
static bool settle_all(Work *work, bool now);
static bool settle(PeerWork *peer);
static bool is_reported(const CompareRun *run, const Difference *difference);
static Difference *copy_difference(const Difference *difference);
static Datum columns_that_differ(const Difference *difference);
static void put_difference(ReturnSetInfo *rsinfo, const Difference *difference);

PG_FUNCTION_INFO_V1(consistency_compare);

/*
 * consistency.compare(relation regclass, peers text[], after text, max_rows bigint,
 *					   max_differences integer, settle interval, resume boolean)
 *		Rows that differ between here and the peers.
 */
Datum
consistency_compare(PG_FUNCTION_ARGS)
{
	CompareRun	run;
	List	   *unequal = NIL;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	compare_run_begin(&run, fcinfo);
	compare_run(&run);
	foreach(cell, run.differences)
	{
		const Difference *difference = lfirst(cell);

		put_difference((ReturnSetInfo *) fcinfo->resultinfo, difference);
		unequal = list_append_unique_oid(unequal, difference->leaf);
	}
	compare_confirm(&run, unequal);
	return (Datum) 0;
}

static void
put_difference(ReturnSetInfo *rsinfo, const Difference *difference)
{
	Datum		values[DIFFERENCE_COLUMNS];
	bool		nulls[DIFFERENCE_COLUMNS] = {false};

	compare_put_difference(values, nulls, difference);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The columns that consistency.compare() and repair() have in common. */
void
compare_put_difference(Datum *values, bool *nulls, const Difference *difference)
{
	values[0] = ObjectIdGetDatum(difference->leaf);
	values[1] = CStringGetTextDatum(difference->peer->name);
	values[2] = CStringGetTextDatum(difference->key);
	values[3] = CStringGetTextDatum(difference->kind);
	values[4] = columns_that_differ(difference);
	nulls[4] = difference->columns == NIL;
}

/*
 * compare_confirm
 *		Of what was compared with all members, all but these tables are equal by now:
 *		so nothing is left of the updates that apply has skipped.
 */
void
compare_confirm(const CompareRun *run, const List *unequal)
{
	ListCell   *cell;

	foreach(cell, run->compared)
	{
		const ComparedLeaf *compared = lfirst(cell);

		if (!list_member_oid(unequal, compared->leaf))
			conflict_counters_compared(compared->leaf, compared->skipped);
	}
}

/* The names of the columns that differ, as an array. */
static Datum
columns_that_differ(const Difference *difference)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(list_length(difference->columns), 1));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, difference->columns)
		names[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* --- tables --------------------------------------------------------------- */

/*
 * compare_run
 *		Find run->differences, in the current memory context; and note how far that
 *		has come.
 */
void
compare_run(CompareRun *run)
{
	List	   *leaves = table_access_parts(run->root, false);
	bool		go_on = run->resume;
	ComparePoint point;
	ListCell   *cell;

	/* Where all was compared, the next call begins anew. */
	if (go_on)
	{
		bool		finished = true;

		foreach(cell, leaves)
			finished &= comparisons_load(run, lfirst_oid(cell), &point) && point.finished;
		go_on = !finished;
	}
	if (leaves == NIL)
		return;
	foreach(cell, leaves)
	{
		if (!compare_leaf(run, lfirst_oid(cell), go_on))
			break;
	}
	if (cell == NULL)
		return;
	/* those that weren't begun */
	memset(&point, 0, sizeof(point));
	while ((cell = lnext(leaves, cell)) != NULL)
		comparisons_save(run, lfirst_oid(cell), &point, 0, false);
}

/* Compare what holds rows; false if the call has to end before its end. */
static bool
compare_leaf(CompareRun *run, Oid leaf, bool go_on)
{
	Work		work = {.run = run};
	ComparePoint point = {.after = run->after,.skipped = conflict_counters_skipped(leaf)};
	int64		rows = run->rows;
	int			i = 0;
	ListCell   *cell;

	if (go_on)
	{
		ComparePoint last;

		if (comparisons_load(run, leaf, &last))
			point = last;
		if (point.finished)
			return true;
	}
	work.table = key_table_open(run->root, leaf, true);
	if (work.table == NULL)
		return true;
	work.context = AllocSetContextCreate(CurrentMemoryContext, "compared range", ALLOCSET_DEFAULT_SIZES);
	work.npeers = list_length(run->peers);
	work.peers = palloc0(sizeof(PeerWork) * work.npeers);
	foreach(cell, run->peers)
	{
		PeerWork   *peer = &work.peers[i++];

		peer->work = &work;
		peer->peer = lfirst(cell);
		peer->context = AllocSetContextCreate(work.context, "suspects", ALLOCSET_DEFAULT_SIZES);
	}
	if (point.deletions || compare_keys(&work, &point))
	{
		if (!point.deletions)
			point.after = NULL;
		point.deletions = work.deletions = true;
		point.finished = compare_keys(&work, &point);
	}
	comparisons_save(run, leaf, &point, run->rows - rows, go_on);
	note_compared(run, leaf, &point);
	MemoryContextDelete(work.context);
	key_table_close(work.table);
	return point.finished;
}

/* If all of it was compared with all others, and found equal so far. */
static void
note_compared(CompareRun *run, Oid leaf, const ComparePoint *point)
{
	ComparedLeaf *compared;

	if (!point->finished || point->differences > 0 || run->after ||
		list_length(run->peers) < list_length(node_catalog_peers()))
		return;
	compared = palloc(sizeof(ComparedLeaf));
	compared->leaf = leaf;
	compared->skipped = point->skipped;
	run->compared = lappend(run->compared, compared);
}

/*
 * Compare rows, or what is left of deleted ones, from a point on.  False if the
 * call has to end before their end; the point is up to where they were compared.
 */
static bool
compare_keys(Work *work, ComparePoint *point)
{
	CompareRun *run = work->run;
	char	   *after = point->after ? pstrdup(point->after) : NULL;

	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(work->context);
		bool		enough;
		bool		last;

		work->range = read_range(work, after);
		last = work->range.upto == NULL;
		for (int i = 0; i < work->npeers; i++)
		{
			if (!compare_range(&work->peers[i]))
			{
				MemoryContextSwitchTo(old);
				return false;
			}
		}
		run->rows += work->range.n;
		enough = run->rows >= run->max_rows;
		MemoryContextSwitchTo(old);
		if (!settle_all(work, last || enough))
			return false;
		after = last ? NULL : pstrdup(work->range.upto);
		for (int i = 0; i < work->npeers; i++)
		{
			/* What isn't settled will be compared again. */
			if (work->peers[i].suspects != NIL)
				break;
			if (i == work->npeers - 1)
				point->after = after;
		}
		MemoryContextResetOnly(work->context);
		if (last)
			return true;
		if (enough)
			return false;
	}
}

/* --- ranges --------------------------------------------------------------- */

static KeyRange
read_range(Work *work, char *after)
{
	KeyRange	range = {.after = after};

	range.keys = key_digests(work->table, work->deletions, after, NULL, RANGE_KEYS, &range.n);
	if (range.n == RANGE_KEYS)
		range.upto = range.keys[range.n - 1].key;
	return range;
}

/* Gather what seems to differ in the range; false if the call has to end. */
static bool
compare_range(PeerWork *peer)
{
	Descent		descent = {
		.compare = compare_parts,
		.compare_rows = compare_block,
		.vanished = nothing_left,
		.arg = peer,
	};

	return descend(&descent, all_blocks(&peer->work->range));
}

/* One at least: there can be rows at the peer where there are none here. */
static DescentRange
all_blocks(const KeyRange *range)
{
	return (DescentRange)
	{
		.first = 0,
			.last = range->n == 0 ? 0 : (range->n - 1) / BLOCK_KEYS,
	};
}

/* The key before the first one of a block. */
static char *
block_after(const KeyRange *range, uint32 block)
{
	return block == 0 ? range->after : range->keys[block * BLOCK_KEYS - 1].key;
}

/* Its last key. */
static char *
block_upto(const KeyRange *range, uint32 block)
{
	return block == all_blocks(range).last ? range->upto : range->keys[(block + 1) * BLOCK_KEYS - 1].key;
}

static RangeDigest
blocks_digest(const KeyRange *range, DescentRange blocks)
{
	RangeDigest digest = {0};
	int			end = Min((int) (blocks.last + 1) * BLOCK_KEYS, range->n);

	for (int i = blocks.first * BLOCK_KEYS; i < end; i++)
		range_digest_add(&digest, range->keys[i].digest);
	return digest;
}

/* For descend(): one question for digests. */
static bool
compare_parts(void *arg, DescentRange blocks, int parts, DescentVerdict *verdicts)
{
	PeerWork   *peer = arg;
	Work	   *work = peer->work;
	char	   *bounds[DESCENT_PARTS + 1];
	RangeDigest there[DESCENT_PARTS] = {{0}};

	CHECK_FOR_INTERRUPTS();
	bounds[0] = block_after(&work->range, blocks.first);
	for (int i = 0; i < parts; i++)
		bounds[i + 1] = block_upto(&work->range, descent_part(blocks, parts, i).last);
	compare_peer_digests(peer->peer, work->table, work->deletions, bounds, parts, there);
	for (int i = 0; i < parts; i++)
	{
		RangeDigest here = blocks_digest(&work->range, descent_part(blocks, parts, i));

		if (there[i].rows == RANGE_TOO_LARGE)
			verdicts[i] = DESCENT_UNKNOWN;
		else
			verdicts[i] = range_digest_equal(here, there[i]) ? DESCENT_EQUAL : DESCENT_DIFFERENT;
	}
	return true;
}

/* For descend(): the peer's list of the rows of a block. */
static bool
compare_block(void *arg, uint32 block, bool *found)
{
	PeerWork   *peer = arg;
	Work	   *work = peer->work;
	char	   *after = block_after(&work->range, block);
	bool		seen[BLOCK_KEYS] = {false};
	int			n;

	do
	{
		KeyDigest  *there = compare_peer_rows(peer->peer, work->table, work->deletions, after,
											  block_upto(&work->range, block), LIST_KEYS, &n);

		*found |= match_listed(peer, block, there, n, seen) > 0;
		if (n > 0)
			after = there[n - 1].key;
		/* There may be any number of rows that only the peer has. */
		if (list_length(peer->suspects) >= MAX_SUSPECTS && !settle(peer))
			return false;
	} while (n == LIST_KEYS);
	for (int i = 0; i < BLOCK_KEYS && block * BLOCK_KEYS + i < work->range.n; i++)
	{
		if (seen[i])
			continue;
		suspect(peer, work->range.keys[block * BLOCK_KEYS + i].key);
		*found = true;
	}
	return true;
}

/* Compare listed rows with those of a block here; returns how many seem to differ. */
static int
match_listed(PeerWork *peer, uint32 block, const KeyDigest *there, int n, bool *seen)
{
	const KeyRange *range = &peer->work->range;
	int			first = block * BLOCK_KEYS;
	int			end = Min(first + BLOCK_KEYS, range->n);
	int			suspects = 0;

	for (int i = 0; i < n; i++)
	{
		int			here = first;

		while (here < end && strcmp(range->keys[here].key, there[i].key) != 0)
			here++;
		if (here < end)
			seen[here - first] = true;
		if (here < end && range->keys[here].digest == there[i].digest)
			continue;
		suspect(peer, there[i].key);
		suspects++;
	}
	return suspects;
}

static void
suspect(PeerWork *peer, const char *key)
{
	MemoryContext old = MemoryContextSwitchTo(peer->context);

	peer->suspects = lappend(peer->suspects, pstrdup(key));
	MemoryContextSwitchTo(old);
}

/* For descend(): rows that differed are the same by now. */
static void
nothing_left(void *arg, DescentRange blocks)
{
}

/* --- what seems to differ ------------------------------------------------- */

/*
 * Look again at what seems to differ, if it is much, or has to be done now.  False
 * if there are as many differences as are wanted.
 */
static bool
settle_all(Work *work, bool now)
{
	bool		go_on = true;

	for (int i = 0; i < work->npeers; i++)
		now |= list_length(work->peers[i].suspects) >= MAX_SUSPECTS;
	for (int i = 0; i < work->npeers && now && go_on; i++)
		go_on = settle(&work->peers[i]);
	return go_on;
}

/* Those of a peer. */
static bool
settle(PeerWork *peer)
{
	CompareRun *run = peer->work->run;
	MemoryContext old = MemoryContextSwitchTo(peer->context);
	int			n = list_length(peer->suspects);
	char	  **keys = palloc(sizeof(char *) * Max(n, 1));
	List	   *found;
	ListCell   *cell;

	n = 0;
	foreach(cell, peer->suspects)
		keys[n++] = lfirst(cell);
	found = settle_differences(peer->peer, peer->work->table, keys, n, run->settle_ms);
	MemoryContextSwitchTo(run->context);
	foreach(cell, found)
	{
		const Difference *difference = lfirst(cell);

		if (is_reported(run, difference))
			continue;
		if (list_length(run->differences) >= run->max_differences)
			break;
		run->differences = lappend(run->differences, copy_difference(difference));
	}
	MemoryContextSwitchTo(old);
	peer->suspects = NIL;
	MemoryContextReset(peer->context);
	return list_length(run->differences) < run->max_differences;
}

/* A key may be looked at for a row, and for what is left of a deleted one. */
static bool
is_reported(const CompareRun *run, const Difference *difference)
{
	ListCell   *cell;

	foreach(cell, run->differences)
	{
		const Difference *other = lfirst(cell);

		if (other->leaf == difference->leaf && other->peer == difference->peer &&
			strcmp(other->key, difference->key) == 0)
			return true;
	}
	return false;
}

static Difference *
copy_difference(const Difference *difference)
{
	Difference *copy = palloc(sizeof(Difference));
	ListCell   *cell;

	*copy = *difference;
	copy->key = pstrdup(difference->key);
	copy->columns = NIL;
	foreach(cell, difference->columns)
		copy->columns = lappend(copy->columns, pstrdup(lfirst(cell)));
	return copy;
}
