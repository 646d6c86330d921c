/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  consistency.repair(): merges the rows that differ between here and the peers,
 *	  both ways.
 *
 * By consistency.merge_row() and merge_tombstone(), here and there: what comes of
 * it is what replication would have made of it, whoever wrote last, and doing it
 * twice does nothing.  First the peers are given what is committed here, some rows
 * a transaction; then what they have by then is merged here.  So while peers write,
 * and may wait for us to apply it, nothing is locked here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/attempt.h"
#include "core/columns.h"
#include "group/compare.h"
#include "group/group.h"

/* rows that are merged at once */
#define BATCH_ROWS 32

/* other triggers fire as for what replication brings, where we may say so */
#define AS_REPLICATION_QUERY \
	"SELECT pg_catalog.set_config('session_replication_role', 'replica', true)" \
	" WHERE pg_catalog.has_parameter_privilege('session_replication_role', 'SET'); "

/* What became of a row */
typedef struct Repaired
{
	const Difference *difference;
	char	   *here;			/* result of merging; NULL: nothing to merge */
	char	   *there;
} Repaired;

/* Some rows of a table, at a peer */
typedef struct Batch
{
	const ComparePeer *peer;
	KeyTable   *table;
	Repaired   *rows;
	int			n;
	char	  **statements;		/* that merge each row; NULL: nothing to merge */
} Batch;

/* Runs statements as one transaction; false, with *message, if one fails */
typedef bool (*BatchRunner) (Batch *batch, const char *query, List **rows, char **message);

static void check_rights(const CompareRun *run);
static void repair_all(CompareRun *run, Repaired *rows, int n, bool there);
static int	batch_size(const Repaired *rows, int n);
static void repair_batch(Batch *batch, bool there);
static char *merge_statement(const Batch *batch, int i, const KeyState *state);
static char *column_names(const KeyTable *table);
static void run_batch(Batch *batch, BatchRunner runner, bool there);
static void run_one(Batch *batch, int i, BatchRunner runner, bool there);
static char **result_of(Repaired *row, bool there);
static bool run_there(Batch *batch, const char *query, List **rows, char **message);

/* A query that may fail, and its rows */
typedef struct Selection
{
	const char *query;
	List	   *rows;
} Selection;

static void select_as_replication(void *arg);
static bool run_here(Batch *batch, const char *query, List **rows, char **message);
static List *note_repaired(CompareRun *run, const Repaired *rows, int n);
static bool has_failed(const char *result);
static void put_repaired(ReturnSetInfo *rsinfo, const Repaired *row);

PG_FUNCTION_INFO_V1(consistency_repair);

/*
 * consistency.repair(relation regclass, peers text[], after text, max_rows bigint,
 *					  max_differences integer, settle interval, resume boolean)
 *		Merge rows that differ between here and the peers.
 */
Datum
consistency_repair(PG_FUNCTION_ARGS)
{
	CompareRun	run;
	Repaired   *rows;
	int			n = 0;
	ListCell   *cell;

	PreventCommandDuringRecovery("consistency.repair()");
	PreventCommandIfReadOnly("consistency.repair()");
	InitMaterializedSRF(fcinfo, 0);
	compare_run_begin(&run, fcinfo);
	check_rights(&run);
	compare_run(&run);
	rows = palloc0(sizeof(Repaired) * Max(list_length(run.differences), 1));
	foreach(cell, run.differences)
		rows[n++].difference = lfirst(cell);
	repair_all(&run, rows, n, true);
	repair_all(&run, rows, n, false);
	compare_confirm(&run, note_repaired(&run, rows, n));
	for (int i = 0; i < n; i++)
		put_repaired((ReturnSetInfo *) fcinfo->resultinfo, &rows[i]);
	return (Datum) 0;
}

/* Rather than when half of it is done. */
static void
check_rights(const CompareRun *run)
{
	static const AclMode rights[] = {ACL_INSERT, ACL_UPDATE, ACL_DELETE};
	AclResult	allowed = ACLCHECK_OK;

	for (int i = 0; i < lengthof(rights) && allowed == ACLCHECK_OK; i++)
		allowed = pg_class_aclcheck(run->root, GetUserId(), rights[i]);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, get_relkind_objtype(get_rel_relkind(run->root)),
					   get_rel_name(run->root));
}

/* Merge all rows at their peers, or here. */
static void
repair_all(CompareRun *run, Repaired *rows, int n, bool there)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "repaired rows",
												  ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < n;)
	{
		const Difference *first = rows[i].difference;
		Batch		batch = {
			.peer = first->peer,
			.rows = &rows[i],
			.n = batch_size(&rows[i], n - i),
		};
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		batch.table = key_table_open(run->root, first->leaf, true);
		if (batch.table != NULL)
		{
			repair_batch(&batch, there);
			key_table_close(batch.table);
		}
		MemoryContextSwitchTo(old);
		for (int j = 0; j < batch.n; j++)
		{
			char	  **result = result_of(&batch.rows[j], there);

			if (*result)
				*result = pstrdup(*result);
		}
		MemoryContextReset(context);
		i += batch.n;
	}
	MemoryContextDelete(context);
}

/* How many of the next rows are of one table and peer, and not too many. */
static int
batch_size(const Repaired *rows, int n)
{
	int			size = 1;

	while (size < n && size < BATCH_ROWS &&
		   rows[size].difference->leaf == rows[0].difference->leaf &&
		   rows[size].difference->peer == rows[0].difference->peer)
		size++;
	return size;
}

static void
repair_batch(Batch *batch, bool there)
{
	char	  **keys = palloc(sizeof(char *) * batch->n);
	KeyState   *here;
	KeyState   *others;

	for (int i = 0; i < batch->n; i++)
		keys[i] = batch->rows[i].difference->key;
	here = key_states(batch->table, keys, batch->n, there);
	others = compare_peer_states(batch->peer, batch->table, keys, batch->n, !there);
	batch->statements = palloc(sizeof(char *) * batch->n);
	for (int i = 0; i < batch->n; i++)
	{
		KeyState   *from = there ? &here[i] : &others[i];
		KeyState   *to = there ? &others[i] : &here[i];

		batch->statements[i] = key_state_is_outdated(from, to) ? NULL : merge_statement(batch, i, from);
	}
	run_batch(batch, there ? run_there : run_here, there);
}

/* What brings a row that one member has to another one. */
static char *
merge_statement(const Batch *batch, int i, const KeyState *state)
{
	const char *table = quote_literal_cstr(key_table_name(RelationGetRelid(batch->table->relation)));
	Oid			output;
	bool		is_varlena;

	switch (state->presence)
	{
		case KEY_ABSENT:
			break;
		case KEY_PRESENT:
			return psprintf("SELECT %d, consistency.merge_row(%s::pg_catalog.regclass,"
							" %s::pg_catalog.text[], %s::pg_catalog.text[])",
							i, table, column_names(batch->table),
							quote_literal_cstr(state->values));
		case KEY_DELETED:
			getTypeOutputInfo(batch->table->rules->columns[batch->table->rules->version - 1].type,
							  &output, &is_varlena);
			return psprintf("SELECT %d, CASE WHEN consistency.merge_tombstone(%s::pg_catalog.regclass,"
							" %s, %s, %s::pg_catalog.jsonb) THEN 'deleted' ELSE 'unchanged' END",
							i, table, quote_literal_cstr(batch->rows[i].difference->key),
							quote_literal_cstr(OidOutputFunctionCall(output, PointerGetDatum(state->version))),
							group_literal(state->image));
	}
	return NULL;
}

/* An array, as a literal. */
static char *
column_names(const KeyTable *table)
{
	Datum	   *names = palloc(sizeof(Datum) * table->ncolumns);

	for (int i = 0; i < table->ncolumns; i++)
		names[i] = CStringGetTextDatum(table->columns[i]->name);
	return quote_literal_cstr(OidOutputFunctionCall(F_ARRAY_OUT,
													PointerGetDatum(construct_array(names, table->ncolumns, TEXTOID,
																					-1, false, TYPALIGN_INT))));
}

/* All in one transaction; where one can't be merged, each in one of its own. */
static void
run_batch(Batch *batch, BatchRunner runner, bool there)
{
	StringInfoData query;
	List	   *rows;
	ListCell   *cell;
	char	   *message;

	initStringInfo(&query);
	for (int i = 0; i < batch->n; i++)
	{
		if (batch->statements[i])
			appendStringInfo(&query, "%s%s", query.len ? " UNION ALL " : "", batch->statements[i]);
	}
	if (query.len == 0)
		return;
	if (!runner(batch, query.data, &rows, &message))
	{
		for (int i = 0; i < batch->n; i++)
			run_one(batch, i, runner, there);
		return;
	}
	foreach(cell, rows)
	{
		TextRow    *row = lfirst(cell);

		/* not those of AS_REPLICATION_QUERY */
		if (row->ncolumns == 2)
			*result_of(&batch->rows[atoi(row->values[0])], there) = row->values[1];
	}
}

static void
run_one(Batch *batch, int i, BatchRunner runner, bool there)
{
	List	   *rows;
	char	   *message;

	if (batch->statements[i] == NULL)
		return;
	if (runner(batch, batch->statements[i], &rows, &message))
		*result_of(&batch->rows[i], there) = ((TextRow *) llast(rows))->values[1];
	else
		*result_of(&batch->rows[i], there) = psprintf("failed: %s", message);
}

static char **
result_of(Repaired *row, bool there)
{
	return there ? &row->there : &row->here;
}

/* At the peer, with the rights of the caller's mapping. */
static bool
run_there(Batch *batch, const char *query, List **rows, char **message)
{
	RemoteError error;

	if (peer_query(batch->peer->serverid, psprintf(AS_REPLICATION_QUERY "%s", query), rows, &error))
		return true;
	if (!error.from_server || error.fatal)
		remote_error_raise(&error, batch->peer->name);
	*message = error.message;
	return false;
}

/* Here, with the caller's rights, as a part of his transaction. */
static bool
run_here(Batch *batch, const char *query, List **rows, char **message)
{
	Selection	selection = {.query = query};
	ErrorData  *error = attempt(select_as_replication, &selection);

	*rows = selection.rows;
	if (error != NULL)
		*message = error->message;
	return error == NULL;
}

static void
select_as_replication(void *arg)
{
	Selection  *selection = arg;
	int			nesting = NewGUCNestLevel();

	(void) group_select(AS_REPLICATION_QUERY);
	selection->rows = group_select(selection->query);
	AtEOXact_GUC(false, nesting);
}

/* Note for each table and peer what was repaired; returns the tables with the rest. */
static List *
note_repaired(CompareRun *run, const Repaired *rows, int n)
{
	List	   *left = NIL;

	for (int i = 0; i < n;)
	{
		const Difference *first = rows[i].difference;
		int64		repaired = 0;

		do
		{
			if (has_failed(rows[i].here) || has_failed(rows[i].there))
				left = list_append_unique_oid(left, first->leaf);
			else
				repaired++;
			i++;
		} while (i < n && rows[i].difference->leaf == first->leaf &&
				 rows[i].difference->peer == first->peer);
		comparisons_save_repaired(first->leaf, first->peer->name, repaired);
	}
	return left;
}

static bool
has_failed(const char *result)
{
	return result != NULL && strncmp(result, "failed", strlen("failed")) == 0;
}

static void
put_repaired(ReturnSetInfo *rsinfo, const Repaired *row)
{
	Datum		values[DIFFERENCE_COLUMNS + 2];
	bool		nulls[DIFFERENCE_COLUMNS + 2] = {false};

	compare_put_difference(values, nulls, row->difference);
	column_put_text(values, nulls, DIFFERENCE_COLUMNS, row->here);
	column_put_text(values, nulls, DIFFERENCE_COLUMNS + 1, row->there);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
