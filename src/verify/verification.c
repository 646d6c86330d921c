/*-------------------------------------------------------------------------
 *
 * verification.c
 *	  How far a verification is, and what it has found, kept in tables.
 *
 * They replicate as all tables do, so that a new primary can go on where the old
 * one was.  They are written with the rights of their owner, by statements that
 * are all here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"

#include "core/owner.h"
#include "verify/comparison.h"
#include "verify/verification.h"

#define RUNS_TABLE "verification_runs"

#define CREATE_RUN \
	"INSERT INTO consistency.verification_runs (relation, name, role, sample, max_differences)" \
	" VALUES ($1, $2, $3, $4, $5) RETURNING verification"

#define CREATE_NODE \
	"INSERT INTO consistency.verification_progress (verification, node) VALUES ($1, $2)"

#define LOAD_RUN \
	"SELECT relation, role, sample, max_differences FROM consistency.verification_runs" \
	" WHERE verification = $1"

#define LOAD_NODES \
	"SELECT node, state, part, next_block, file, blocks, skipped, rows, differences" \
	" FROM consistency.verification_progress WHERE verification = $1 ORDER BY node"

#define SAVE_NODE \
	"UPDATE consistency.verification_progress SET state = $3, part = $4, next_block = $5," \
	" file = $6, blocks = $7, skipped = $8, rows = $9, differences = $10, failure = $11," \
	" updated = pg_catalog.clock_timestamp() WHERE verification = $1 AND node = $2"

#define SAVE_FINDING \
	"INSERT INTO consistency.verification_findings" \
	" (verification, node, part, place, key, difference, columns, detail, timeline, \"position\")" \
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"

static const char *const state_names[] = {"unfinished", "failed", "stopped", "done"};

static void run(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
static void save_finding(const Verification *verification, const VerifyNode *node,
						 const Finding *finding);
static Datum name_array(const List *names);
static VerifyNode *read_node(HeapTuple row, TupleDesc desc);
static VerifyState read_state(const char *name);
static int64 read_int(HeapTuple row, TupleDesc desc, int column);

/*
 * verification_create
 *		Note a new verification and its nodes; sets its number.
 */
void
verification_create(Verification *verification)
{
	OwnerRights rights = owner_become(RUNS_TABLE);
	Oid			types[] = {OIDOID, TEXTOID, OIDOID, FLOAT8OID, INT4OID};
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(verification->root)),
												  get_rel_name(verification->root));
	Datum		values[] = {
		ObjectIdGetDatum(verification->root),
		CStringGetTextDatum(name),
		ObjectIdGetDatum(verification->role),
		Float8GetDatum(verification->sample),
		Int32GetDatum(verification->max_differences),
	};
	ListCell   *cell;

	run(CREATE_RUN, lengthof(types), types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "could not note a new verification");
	verification->id = read_int(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	foreach(cell, verification->nodes)
	{
		const VerifyNode *node = lfirst(cell);
		Oid			node_types[] = {INT8OID, TEXTOID};
		Datum		node_values[] = {
			Int64GetDatum(verification->id), CStringGetTextDatum(node->name),
		};

		run(CREATE_NODE, lengthof(node_types), node_types, node_values, NULL);
	}
	owner_be_oneself(&rights);
}

/*
 * verification_load
 *		Read a verification that was begun before.  False if there is none of
 *		that number.
 */
bool
verification_load(Verification *verification, int64 id)
{
	OwnerRights rights = owner_become(RUNS_TABLE);
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(id)};
	bool		found;

	run(LOAD_RUN, 1, types, values, NULL);
	found = SPI_processed == 1;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		verification->id = id;
		verification->root = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		verification->role = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
		verification->sample = DatumGetFloat8(SPI_getbinval(row, desc, 3, &isnull));
		verification->max_differences = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
		verification->nodes = NIL;
		run(LOAD_NODES, 1, types, values, NULL);
		for (uint64 i = 0; i < SPI_processed; i++)
			verification->nodes = lappend(verification->nodes,
										  read_node(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	}
	owner_be_oneself(&rights);
	return found;
}

/*
 * verification_save
 *		Keep how far a node is, and what was found since the last time.
 */
void
verification_save(const Verification *verification, const VerifyNode *node,
				  const List *findings)
{
	OwnerRights rights = owner_become(RUNS_TABLE);
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, OIDOID, INT8OID, OIDOID, INT8OID, INT8OID,
	INT8OID, INT8OID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(verification->id),
		CStringGetTextDatum(node->name),
		CStringGetTextDatum(state_names[node->state]),
		ObjectIdGetDatum(node->part),
		Int64GetDatum(node->next_block),
		ObjectIdGetDatum(node->file),
		Int64GetDatum(node->blocks),
		Int64GetDatum(node->skipped),
		Int64GetDatum(node->rows),
		Int64GetDatum(node->differences),
		node->failure ? CStringGetTextDatum(node->failure) : (Datum) 0,
	};
	ListCell   *cell;

	run(SAVE_NODE, lengthof(types), types, values, node->failure ? NULL : "          n");
	foreach(cell, findings)
		save_finding(verification, node, lfirst(cell));
	owner_be_oneself(&rights);
}

static void
save_finding(const Verification *verification, const VerifyNode *node, const Finding *finding)
{
	Oid			types[] = {INT8OID, TEXTOID, OIDOID, TIDOID, TEXTOID, TEXTOID, TEXTARRAYOID,
	TEXTOID, INT8OID, LSNOID};
	char		nulls[] = "          ";
	Datum		values[] = {
		Int64GetDatum(verification->id),
		CStringGetTextDatum(node->name),
		ObjectIdGetDatum(finding->part),
		PointerGetDatum(&finding->place),
		finding->key ? CStringGetTextDatum(finding->key) : (Datum) 0,
		CStringGetTextDatum(finding->difference),
		finding->columns ? name_array(finding->columns) : (Datum) 0,
		finding->detail ? CStringGetTextDatum(finding->detail) : (Datum) 0,
		Int64GetDatum(finding->position.tli),
		LSNGetDatum(finding->position.lsn),
	};

	nulls[4] = finding->key ? ' ' : 'n';
	nulls[6] = finding->columns ? ' ' : 'n';
	nulls[7] = finding->detail ? ' ' : 'n';
	run(SAVE_FINDING, lengthof(types), types, values, nulls);
}

static Datum
name_array(const List *names)
{
	Datum	   *texts = palloc(sizeof(Datum) * list_length(names));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, names)
		texts[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * One statement.  What it returns is in SPI_tuptable until the next one.
 */
static void
run(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext old = CurrentMemoryContext;
	int			result = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	MemoryContextSwitchTo(old); /* SPI goes back to its own */
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(result));
}

static VerifyNode *
read_node(HeapTuple row, TupleDesc desc)
{
	VerifyNode *node = palloc0(sizeof(VerifyNode));

	node->name = SPI_getvalue(row, desc, 1);
	node->state = read_state(SPI_getvalue(row, desc, 2));
	node->part = (Oid) read_int(row, desc, 3);
	node->next_block = (BlockNumber) read_int(row, desc, 4);
	node->file = (Oid) read_int(row, desc, 5);
	node->blocks = read_int(row, desc, 6);
	node->skipped = read_int(row, desc, 7);
	node->rows = read_int(row, desc, 8);
	node->differences = read_int(row, desc, 9);
	return node;
}

static VerifyState
read_state(const char *name)
{
	for (int i = 0; i < lengthof(state_names); i++)
	{
		if (strcmp(name, state_names[i]) == 0)
			return (VerifyState) i;
	}
	elog(ERROR, "unexpected state \"%s\" of a verification", name);
}

static int64
read_int(HeapTuple row, TupleDesc desc, int column)
{
	return strtoll(SPI_getvalue(row, desc, column), NULL, 10);
}
