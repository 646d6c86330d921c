/*-------------------------------------------------------------------------
 *
 * comparison.c
 *	  Comparing a range of a table's blocks between the primary and a replica.
 *
 * Each step of the descent is a transaction of its own, with a common snapshot
 * of its own (node_snapshot.c), taken for it and given back behind it.
 *
 * The table is locked (ACCESS SHARE) from before the primary's snapshot until
 * both have read.  So nothing is truncated or rewritten meanwhile, what would not
 * be seen by snapshots; and what was before is in the log before the position
 * that the replica waits for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/attempt.h"
#include "core/nap.h"
#include "core/wait_event.h"
#include "session/commit_position.h"
#include "verify/comparison.h"
#include "verify/heap_range.h"
#include "verify/node_snapshot.h"
#include "verify/peer.h"
#include "verify/table_access.h"

/* so often a step is tried that replay at the replica cancels */
#define MAX_TRIES 20

/* naps between these, microseconds */
#define TRY_NAP_MIN 1000
#define TRY_NAP_MAX 200000

typedef enum StepResult
{
	STEP_DONE,
	STEP_AGAIN,					/* replay at the replica was in the way */
	STEP_FAILED					/* comparison->failure, or gone */
} StepResult;

/* One question to both */
typedef struct Step
{
	PeerQuestion peer;			/* question and answer of the replica */
	RangeDigest digests[DESCENT_PARTS]; /* the primary's answer */
	List	   *rows;
	char	   *error_here;		/* the rows could not be read here, or there: */
	char	   *error_there;	/* the message; else NULL */
	List	   *column_names;	/* of columns by number; NULL: dropped */
} Step;

/* What is to be read here for a step */
typedef struct ReadHere
{
	Step	   *step;
	Relation	relation;
	Snapshot	snapshot;
} ReadHere;

static bool compare(void *arg, DescentRange blocks, int parts, DescentVerdict *verdicts);
static bool compare_rows(void *arg, uint32 block, bool *found);
static void note_vanished(void *arg, DescentRange blocks);
static bool take_step(Comparison *comparison, Step *step);
static StepResult try_step(Comparison *comparison, Step *step);
static StepResult read_both(Comparison *comparison, Step *step, Relation relation);
static StepResult judge_error(Comparison *comparison, Step *step);
static bool is_damage(int sqlstate);
static void read_here(Step *step, Relation relation, Snapshot snapshot);
static void read_here_or_fail(void *arg);
static List *name_columns(Relation relation);
static void match_rows(Comparison *comparison, const Step *step);
static List *differing_columns(const Step *step, const HeapRow *a, const HeapRow *b);
static Finding *add_finding(Comparison *comparison, const Step *step, ItemPointerData place,
							const char *difference);
static void add_unreadable(Comparison *comparison, const Step *step);

/*
 * comparison_run
 *		Compare a range of blocks and find what differs.
 *
 * Returns true when all of it was compared.  Commits, and begins a transaction
 * anew; so it needs SPI in a context that allows that.  What it finds is in the
 * current memory context.
 */
bool
comparison_run(Comparison *comparison, DescentRange blocks)
{
	Descent		descent = {
		.compare = compare,
		.compare_rows = compare_rows,
		.vanished = note_vanished,
		.arg = comparison,
	};

	comparison->rows = -1;
	return descend(&descent, blocks);
}

/* For descend(): one step, whose answer is digests. */
static bool
compare(void *arg, DescentRange blocks, int parts, DescentVerdict *verdicts)
{
	Comparison *comparison = arg;
	Step		step = {.peer = {.blocks = blocks,.nparts = parts}};
	int64		rows = 0;

	if (!take_step(comparison, &step))
		return false;
	for (int i = 0; i < parts; i++)
	{
		if (step.error_here || step.error_there)
			verdicts[i] = DESCENT_UNKNOWN;
		else
			verdicts[i] = range_digest_equal(step.digests[i], step.peer.digests[i]) ?
				DESCENT_EQUAL : DESCENT_DIFFERENT;
		rows += step.digests[i].rows;
	}
	comparison->position = step.peer.position;
	/* The first step was for the whole range. */
	if (comparison->rows < 0)
		comparison->rows = rows;
	return true;
}

/* For descend(): one step, whose answer is rows. */
static bool
compare_rows(void *arg, uint32 block, bool *found)
{
	Comparison *comparison = arg;
	Step		step = {.peer = {.blocks = {block, block}}};
	int			before = list_length(comparison->findings);

	if (!take_step(comparison, &step))
		return false;
	if (step.error_here || step.error_there)
		add_unreadable(comparison, &step);
	else
		match_rows(comparison, &step);
	*found = list_length(comparison->findings) > before;
	comparison->position = step.peer.position;
	return list_length(comparison->findings) < comparison->limit;
}

/*
 * For descend(): what differed is equal now.  It was written anew: by somebody's
 * change, or by our own reading, which has the primary log whole pages where it
 * logs hint bits.  It did differ all the same.
 */
static void
note_vanished(void *arg, DescentRange blocks)
{
	Comparison *comparison = arg;
	Finding    *finding = palloc0(sizeof(Finding));

	finding->part = comparison->part;
	ItemPointerSet(&finding->place, blocks.first, InvalidOffsetNumber);
	finding->difference = "vanished";
	finding->detail = psprintf("blocks %u to %u differed, and were equal a moment later",
							   blocks.first, blocks.last);
	finding->position = comparison->position;
	comparison->findings = lappend(comparison->findings, finding);
}

/* Take a step, again where replay was in the way.  False if it can't be taken. */
static bool
take_step(Comparison *comparison, Step *step)
{
	int			nap_us = TRY_NAP_MIN;
	StepResult	result;

	step->peer.serverid = comparison->serverid;
	step->peer.root = comparison->root;
	step->peer.part = comparison->part;
	for (int tries = 1;; tries++)
	{
		CHECK_FOR_INTERRUPTS();
		result = try_step(comparison, step);
		if (result != STEP_AGAIN)
			return result == STEP_DONE;
		if (tries >= MAX_TRIES)
		{
			comparison->failure = psprintf("replay at the node has cancelled the comparison %d times",
										   tries);
			return false;
		}
		(void) nap(&nap_us, TRY_NAP_MAX, PG_INT64_MAX, wait_event_remote());
	}
}

/* A step as a transaction. */
static StepResult
try_step(Comparison *comparison, Step *step)
{
	StepResult	result = STEP_FAILED;
	Relation	relation;

	/* Each has a new snapshot; predicate locks would tell nobody anything. */
	XactIsoLevel = XACT_READ_COMMITTED;
	relation = table_access_open(comparison->root, comparison->part, true);
	if (relation == NULL)
		comparison->gone = true;
	else
	{
		result = read_both(comparison, step, relation);
		table_close(relation, NoLock);
	}
	SPI_commit();
	return result;
}

/* Let the replica read, and read the same here. */
static StepResult
read_both(Comparison *comparison, Step *step, Relation relation)
{
	StepResult	result = STEP_DONE;
	Snapshot	ours;

	PushActiveSnapshot(GetTransactionSnapshot());
	ours = GetActiveSnapshot();
	step->peer.position = commit_position_bound();
	step->error_here = step->error_there = NULL;
	step->column_names = name_columns(relation);
	if (peer_ask(&step->peer))
		read_here(step, relation,
				  node_snapshot_adopt(step->peer.snapshot, ours, peer_deadline()));
	else
		result = judge_error(comparison, step);
	PopActiveSnapshot();
	return result;
}

/* What a replica's error means. */
static StepResult
judge_error(Comparison *comparison, Step *step)
{
	const RemoteError *error = &step->peer.error;

	/* replay has to remove what the query still needed, or needs a lock */
	if (error->from_server &&
		(error->sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		 error->sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED))
		return STEP_AGAIN;
	if (error->from_server && !error->fatal && is_damage(error->sqlstate))
	{
		step->error_there = error->message;
		return STEP_DONE;
	}
	comparison->failure = error->detail ?
		psprintf("%s (%s)", error->message, error->detail) : pstrdup(error->message);
	return STEP_FAILED;
}

/*
 * Data that is damaged shows by these, and by what mustn't happen.  A key that is
 * damaged may be no value of its type, and can't be written then.
 */
static bool
is_damage(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) ||
		sqlstate == ERRCODE_INVALID_BINARY_REPRESENTATION ||
		sqlstate == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
}

/* Read here what the replica has read; an error of damaged data is an answer. */
static void
read_here(Step *step, Relation relation, Snapshot snapshot)
{
	ReadHere	reading = {step, relation, snapshot};
	ErrorData  *error = attempt(read_here_or_fail, &reading);

	if (error == NULL)
		return;
	if (!is_damage(error->sqlerrcode))
		ReThrowError(error);
	step->error_here = error->message;
}

static void
read_here_or_fail(void *arg)
{
	ReadHere   *reading = arg;
	Step	   *step = reading->step;

	if (step->peer.nparts > 0)
		heap_range_digests(reading->relation, reading->snapshot, step->peer.blocks, step->peer.nparts,
						   step->digests);
	else
		step->rows = heap_range_rows(reading->relation, reading->snapshot, step->peer.blocks.first);
}

static List *
name_columns(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *names = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		names = lappend(names,
						attribute->attisdropped ? NULL : pstrdup(NameStr(attribute->attname)));
	}
	return names;
}

/* Walk both lists of rows, which are sorted by place. */
static void
match_rows(Comparison *comparison, const Step *step)
{
	ListCell   *here = list_head(step->rows);
	ListCell   *there = list_head(step->peer.rows);

	while ((here || there) && list_length(comparison->findings) < comparison->limit)
	{
		HeapRow    *a = here ? lfirst(here) : NULL;
		HeapRow    *b = there ? lfirst(there) : NULL;
		int			order = !a ? 1 : !b ? -1 : ItemPointerCompare(&a->place, &b->place);

		if (order < 0)
			add_finding(comparison, step, a->place, "missing_there")->key = a->key;
		else if (order > 0)
			add_finding(comparison, step, b->place, "missing_here")->key = b->key;
		else if (a->digest != b->digest)
		{
			Finding    *finding = add_finding(comparison, step, a->place, "different");

			finding->key = a->key;
			finding->columns = differing_columns(step, a, b);
		}
		if (order <= 0)
			here = lnext(step->rows, here);
		if (order >= 0)
			there = lnext(step->peer.rows, there);
	}
}

static List *
differing_columns(const Step *step, const HeapRow *a, const HeapRow *b)
{
	List	   *names = NIL;

	for (int i = 0; i < Min(a->ncolumns, b->ncolumns); i++)
	{
		if (a->columns[i] != b->columns[i] && list_nth(step->column_names, i) != NULL)
			names = lappend(names, list_nth(step->column_names, i));
	}
	return names;
}

static Finding *
add_finding(Comparison *comparison, const Step *step, ItemPointerData place,
			const char *difference)
{
	Finding    *finding = palloc0(sizeof(Finding));

	finding->part = comparison->part;
	finding->place = place;
	finding->difference = difference;
	finding->position = step->peer.position;
	comparison->findings = lappend(comparison->findings, finding);
	return finding;
}

/* A block that can't be read; there is no telling which of its rows it is. */
static void
add_unreadable(Comparison *comparison, const Step *step)
{
	ItemPointerData place;

	ItemPointerSet(&place, step->peer.blocks.first, InvalidOffsetNumber);
	if (step->error_here)
		add_finding(comparison, step, place, "unreadable_here")->detail = step->error_here;
	if (step->error_there)
		add_finding(comparison, step, place, "unreadable_there")->detail = step->error_there;
}
