/*-------------------------------------------------------------------------
 *
 * verify_nodes.c
 *	  consistency.verify_nodes(): is a table the same at the replicas?
 *
 * One replica after the other, and of each one range of blocks after the other.
 * A range is compared by a descent (descent.c, comparison.c), which is several
 * short transactions.  Every second, and when something was found, it is kept
 * how far that is (verification.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/errors.h"
#include "node/node_catalog.h"
#include "node/node_state.h"
#include "verify/comparison.h"
#include "verify/peer.h"
#include "verify/table_access.h"
#include "verify/verification.h"

/* Blocks that are compared at once, and the unit of the sample */
#define RANGE_BLOCKS 128

/* progress is kept so often, milliseconds */
#define SAVE_INTERVAL_MS 1000

/* a table that is rewritten so often meanwhile is given up for now */
#define MAX_REWRITES 3

/* tells our locks from those of pg_advisory_lock() */
#define LOCK_CLASS 31415

/* A node's verification at work */
typedef struct Work
{
	Verification *verification;
	VerifyNode *node;
	Comparison	comparison;
	MemoryContext context;		/* of what one range needs */
	TimestampTz saved;			/* when progress was */
	int			rewrites;		/* of the current part, seen so far */
} Work;

/* Where a part of the table stands */
typedef struct PartState
{
	bool		gone;
	BlockNumber blocks;
	Oid			file;
} PartState;

static void check_call(FunctionCallInfo fcinfo);
static void begin(FunctionCallInfo fcinfo, Verification *verification);
static void go_on(int64 id, Oid root, Verification *verification);
static List *choose_nodes(ArrayType *names);
static List *named_nodes(ArrayType *names);
static List *other_nodes(void);
static bool is_self(Oid serverid);
static VerifyNode *new_node(const char *name);
static void lock_verification(LOCKTAG *tag, int64 id);
static void verify_all(Verification *verification);
static void verify_node(Verification *verification, VerifyNode *node);
static void verify_parts(Work *work);
static bool verify_part(Work *work);
static PartState look_at_part(const Work *work);
static bool follow_rewrite(Work *work, Oid file);
static bool verify_range(Work *work, DescentRange blocks);
static bool is_in_sample(const Work *work, BlockNumber block);
static void save(Work *work, bool now);
static Datum summary(FunctionCallInfo fcinfo, const Verification *verification);

PG_FUNCTION_INFO_V1(consistency_verify_nodes);

/*
 * consistency.verify_nodes(rel regclass, sample float8, nodes text[],
 *							max_differences integer, INOUT verification bigint,
 *							INOUT equal boolean, INOUT differences bigint)
 *		Compare a table between the primary and its replicas.
 */
Datum
consistency_verify_nodes(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Verification verification = {0};
	LOCKTAG		tag;
	Datum		result;

	check_call(fcinfo);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	if (PG_ARGISNULL(4))
		begin(fcinfo, &verification);
	else
		go_on(PG_GETARG_INT64(4), PG_GETARG_OID(0), &verification);

	lock_verification(&tag, verification.id);
	PG_TRY();
	{
		/* Who waited for nothing may read what another session has saved. */
		if (!PG_ARGISNULL(4))
			go_on(verification.id, verification.root, &verification);
		SPI_commit();
		verify_all(&verification);
	}
	PG_FINALLY();
	{
		LockRelease(&tag, ExclusiveLock, true);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	result = summary(fcinfo, &verification);
	SPI_finish();
	return result;
}

/* Can it be called so, here? */
static void
check_call(FunctionCallInfo fcinfo)
{
	errors_require_preload("consistency.verify_nodes()");
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("consistency.verify_nodes() runs at the primary"),
				 errhint("Connect to the primary, or let consistency.write_forwarding send it there.")));
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("consistency.verify_nodes() cannot run inside a transaction block or a function"),
				 errdetail("It holds no snapshot for long, and so is many transactions."),
				 errhint("CALL it by itself.")));
	for (int i = 0; i < 4; i++)
	{
		if (PG_ARGISNULL(i) && i != 2)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("relation, sample and max_differences must not be null")));
	}
}

/* A new verification. */
static void
begin(FunctionCallInfo fcinfo, Verification *verification)
{
	verification->root = PG_GETARG_OID(0);
	verification->role = GetUserId();
	verification->sample = PG_GETARG_FLOAT8(1);
	verification->max_differences = PG_GETARG_INT32(3);
	if (!(verification->sample > 0 && verification->sample <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample must be above 0 and at most 1"),
				 errhint("It is the fraction of the table that is compared.")));
	if (verification->max_differences < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_differences must be at least 1")));
	table_access_check(verification->root);
	(void) table_access_parts(verification->root, true);
	verification->nodes = choose_nodes(PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	verification_create(verification);
	SPI_commit();
}

/* One that was begun before. */
static void
go_on(int64 id, Oid root, Verification *verification)
{
	if (!verification_load(verification, id) ||
		!has_privs_of_role(GetUserId(), verification->role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no verification %lld of yours", (long long) id),
				 errhint("The view consistency.verifications shows them.")));
	if (verification->root != root)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("verification %lld is of another table", (long long) id)));
}

/* The nodes to compare with: VerifyNode. */
static List *
choose_nodes(ArrayType *names)
{
	List	   *nodes = names ? named_nodes(names) : other_nodes();

	if (nodes == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no node to compare with"),
				 errhint("Declare the replicas with CREATE SERVER ... FOREIGN DATA WRAPPER consistency.")));
	return nodes;
}

static List *
named_nodes(ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *nodes = NIL;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
		ListCell   *cell;
		bool		known = false;

		foreach(cell, node_catalog_servers())
			known |= name && strcmp(((ForeignServer *) lfirst(cell))->servername, name) == 0;
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("node \"%s\" does not exist", name ? name : "NULL"),
					 errhint("Nodes are servers of the wrapper consistency; the view consistency.nodes lists them.")));
		nodes = lappend(nodes, new_node(name));
	}
	return nodes;
}

/* All that are declared but this server. */
static List *
other_nodes(void)
{
	List	   *nodes = NIL;
	ListCell   *cell;

	foreach(cell, node_catalog_servers())
	{
		ForeignServer *server = lfirst(cell);

		if (!is_self(server->serverid) && !peer_is_this_server(server->serverid))
			nodes = lappend(nodes, new_node(server->servername));
	}
	return nodes;
}

/* Does the monitor know the node as this server? */
static bool
is_self(Oid serverid)
{
	NodeInfo   *nodes = palloc(sizeof(NodeInfo) * NODE_STATE_MAX_SERVERS);
	int			count = node_state_snapshot(nodes, NODE_STATE_MAX_SERVERS);

	for (int i = 0; i < count; i++)
	{
		if (nodes[i].serverid == serverid)
			return nodes[i].self;
	}
	return false;
}

static VerifyNode *
new_node(const char *name)
{
	VerifyNode *node = palloc0(sizeof(VerifyNode));

	node->name = pstrdup(name);
	return node;
}

/* Nobody else goes on with it meanwhile.  Outlives transactions. */
static void
lock_verification(LOCKTAG *tag, int64 id)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id, LOCK_CLASS);
	if (LockAcquire(tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("verification %lld is at work in another session", (long long) id)));
}

static void
verify_all(Verification *verification)
{
	ListCell   *cell;

	foreach(cell, verification->nodes)
	{
		VerifyNode *node = lfirst(cell);

		if (node->state == VERIFY_UNFINISHED || node->state == VERIFY_FAILED)
			verify_node(verification, node);
	}
}

/* Compare with one node, from where that was. */
static void
verify_node(Verification *verification, VerifyNode *node)
{
	MemoryContext old = CurrentMemoryContext;
	ForeignServer *server = GetForeignServerByName(node->name, true);
	Work		work = {
		.verification = verification,
		.node = node,
		.saved = GetCurrentTimestamp(),
	};

	node->state = VERIFY_UNFINISHED;
	node->failure = NULL;
	work.context = AllocSetContextCreate(old, "verified range", ALLOCSET_DEFAULT_SIZES);
	work.comparison.root = verification->root;
	if (server == NULL)
	{
		node->state = VERIFY_FAILED;
		node->failure = pstrdup("the node is not declared any more");
	}
	else
	{
		work.comparison.serverid = server->serverid;
		verify_parts(&work);
	}
	save(&work, true);
	MemoryContextDelete(work.context);
}

/* Compare all parts of the table from the current one on. */
static void
verify_parts(Work *work)
{
	VerifyNode *node = work->node;
	List	   *parts;
	ListCell   *cell;

	table_access_check(work->verification->root);
	parts = table_access_parts(work->verification->root, false);
	SPI_commit();
	foreach(cell, parts)
	{
		Oid			part = lfirst_oid(cell);

		if (part < node->part)
			continue;
		if (part > node->part)
		{
			node->part = part;
			node->next_block = 0;
			node->file = InvalidOid;
		}
		work->rewrites = 0;
		work->comparison.part = part;
		if (!verify_part(work))
			return;
	}
	node->state = VERIFY_DONE;
}

/*
 * Compare one part to its end, one range after the other.  The last one is what
 * lies behind the end, where only a replica can have rows.  False if that was
 * ended before.
 */
static bool
verify_part(Work *work)
{
	VerifyNode *node = work->node;

	while (node->next_block <= MaxBlockNumber)
	{
		MemoryContext old = MemoryContextSwitchTo(work->context);
		PartState	part = look_at_part(work);
		DescentRange blocks = {.first = node->next_block};

		MemoryContextSwitchTo(old);
		if (part.gone)
			return true;
		if (!follow_rewrite(work, part.file))
			return false;
		blocks.first = node->next_block;
		blocks.last = blocks.first < part.blocks ?
			blocks.first + RANGE_BLOCKS - 1 : MaxBlockNumber;
		if (blocks.first < part.blocks && !is_in_sample(work, blocks.first))
			node->skipped += Min(RANGE_BLOCKS, part.blocks - blocks.first);
		else if (verify_range(work, blocks))
			node->blocks += blocks.first < part.blocks ?
				Min(RANGE_BLOCKS, part.blocks - blocks.first) : 0;
		else
			return work->comparison.gone;
		node->next_block = blocks.last + 1;
		save(work, false);
	}
	return true;
}

/* Its size and file, now. */
static PartState
look_at_part(const Work *work)
{
	PartState	state = {.gone = true};
	Relation	relation = table_access_open(work->verification->root, work->node->part, true);

	if (relation)
	{
		state.gone = false;
		state.blocks = RelationGetNumberOfBlocks(relation);
		state.file = COMPAT_FILE_NUMBER(relation);
		table_close(relation, NoLock);
	}
	SPI_commit();
	return state;
}

/*
 * Begin the part anew if it was rewritten: its rows are elsewhere now.  False if
 * that goes on and on.
 */
static bool
follow_rewrite(Work *work, Oid file)
{
	VerifyNode *node = work->node;

	if (node->file != file && node->next_block > 0)
	{
		node->next_block = 0;
		if (++work->rewrites > MAX_REWRITES)
		{
			node->state = VERIFY_FAILED;
			node->failure = psprintf("\"%s\" is rewritten again and again",
									 get_rel_name(node->part));
			return false;
		}
	}
	node->file = file;
	return true;
}

/* Compare a range; false if that was ended before its end. */
static bool
verify_range(Work *work, DescentRange blocks)
{
	VerifyNode *node = work->node;
	Comparison *comparison = &work->comparison;
	MemoryContext old = MemoryContextSwitchTo(work->context);
	bool		complete;

	comparison->findings = NIL;
	comparison->gone = false;
	comparison->failure = NULL;
	comparison->limit = work->verification->max_differences - node->differences;
	complete = comparison_run(comparison, blocks);
	MemoryContextSwitchTo(old);

	if (complete)
		node->rows += comparison->rows;
	else if (comparison->failure)
	{
		/* The range will be compared again, so what was found of it is void. */
		node->state = VERIFY_FAILED;
		node->failure = pstrdup(comparison->failure);
		comparison->findings = NIL;
	}
	else if (!comparison->gone)
		node->state = VERIFY_STOPPED;
	node->differences += list_length(comparison->findings);
	return complete;
}

/* The same ranges each time, so that one can go on. */
static bool
is_in_sample(const Work *work, BlockNumber block)
{
	uint64		place[] = {work->verification->id, work->node->part, block / RANGE_BLOCKS};
	uint64		hash = hash_bytes_extended((const unsigned char *) place, sizeof(place), 0);

	return work->verification->sample >= 1 ||
		(double) (hash >> 11) / (double) (UINT64CONST(1) << 53) < work->verification->sample;
}

/* Keep progress, if it is time to, and whatever was found. */
static void
save(Work *work, bool now)
{
	if (now || work->comparison.findings != NIL ||
		TimestampDifferenceExceeds(work->saved, GetCurrentTimestamp(), SAVE_INTERVAL_MS))
	{
		MemoryContext old = MemoryContextSwitchTo(work->context);

		verification_save(work->verification, work->node, work->comparison.findings);
		SPI_commit();
		MemoryContextSwitchTo(old);
		work->saved = GetCurrentTimestamp();
	}
	work->comparison.findings = NIL;
	MemoryContextReset(work->context);
}

/* The number, whether the nodes are equal (null: not known), the differences. */
static Datum
summary(FunctionCallInfo fcinfo, const Verification *verification)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};
	int64		differences = 0;
	bool		complete = true;
	ListCell   *cell;

	foreach(cell, verification->nodes)
	{
		const VerifyNode *node = lfirst(cell);

		differences += node->differences;
		complete &= node->state == VERIFY_DONE || node->state == VERIFY_STOPPED;
	}
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(verification->id);
	values[1] = BoolGetDatum(differences == 0);
	nulls[1] = differences == 0 && !complete;
	values[2] = Int64GetDatum(differences);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
