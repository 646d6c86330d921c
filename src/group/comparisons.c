/*-------------------------------------------------------------------------
 *
 * comparisons.c
 *	  How far tables were compared with peers, and what came of it, kept in a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "core/owner.h"
#include "group/compare.h"

#define COMPARISONS_TABLE "comparisons"

#define LOAD_POINT \
	"SELECT finished, deletions, next_key, skipped, differences FROM consistency.comparisons WHERE relation = $1 AND peer = $2"

#define SAVE_POINT \
	"INSERT INTO consistency.comparisons AS c" \
	" (relation, peer, finished, deletions, next_key, rows, differences, skipped)" \
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $9)" \
	" ON CONFLICT (relation, peer) DO UPDATE SET finished = excluded.finished," \
	" deletions = excluded.deletions, next_key = excluded.next_key, skipped = excluded.skipped," \
	" rows = excluded.rows + CASE WHEN $8 THEN c.rows ELSE 0 END," \
	" differences = excluded.differences + CASE WHEN $8 THEN c.differences ELSE 0 END," \
	" compared_at = pg_catalog.clock_timestamp()"

#define SAVE_REPAIRED \
	"UPDATE consistency.comparisons SET differences = differences - $3 WHERE relation = $1 AND peer = $2"

#define FORGET_DROPPED \
	"DELETE FROM consistency.comparisons c" \
	" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = c.relation)"

static bool load_one(Oid leaf, const char *peer, ComparePoint *point);
static int64 count_differences(const CompareRun *run, Oid leaf, const ComparePeer *peer);
static void run_statement(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);

/*
 * comparisons_load
 *		Where the last comparison of what holds rows has ended.  False, and the
 *		beginning, if that isn't the same for all peers.
 */
bool
comparisons_load(const CompareRun *run, Oid leaf, ComparePoint *point)
{
	OwnerRights rights = owner_become(COMPARISONS_TABLE);
	bool		known = true;
	bool		first = true;
	int64		differences = 0;
	ListCell   *cell;

	memset(point, 0, sizeof(*point));
	SPI_connect();
	foreach(cell, run->peers)
	{
		ComparePoint one = {0};

		known &= load_one(leaf, ((const ComparePeer *) lfirst(cell))->name, &one);
		differences += one.differences;
		if (first)
			*point = one;
		known &= one.finished == point->finished && one.deletions == point->deletions &&
			(one.after == NULL) == (point->after == NULL) &&
			(one.after == NULL || strcmp(one.after, point->after) == 0);
		first = false;
	}
	SPI_finish();
	owner_be_oneself(&rights);
	point->differences = differences;
	if (!known)
		memset(point, 0, sizeof(*point));
	return known;
}

static bool
load_one(Oid leaf, const char *peer, ComparePoint *point)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(leaf), CStringGetTextDatum(peer)};
	HeapTuple	row;
	char	   *after;

	run_statement(LOAD_POINT, lengthof(types), types, values, NULL);
	if (SPI_processed != 1)
		return false;
	row = SPI_tuptable->vals[0];
	point->finished = SPI_getvalue(row, SPI_tuptable->tupdesc, 1)[0] == 't';
	point->deletions = SPI_getvalue(row, SPI_tuptable->tupdesc, 2)[0] == 't';
	after = SPI_getvalue(row, SPI_tuptable->tupdesc, 3);
	point->skipped = strtoull(SPI_getvalue(row, SPI_tuptable->tupdesc, 4), NULL, 10);
	point->differences = strtoll(SPI_getvalue(row, SPI_tuptable->tupdesc, 5), NULL, 10);
	if (after)
	{
		point->after = SPI_palloc(strlen(after) + 1);
		strcpy(point->after, after);
	}
	return true;
}

/*
 * comparisons_save
 *		Note how far what holds rows was compared with all peers.
 */
void
comparisons_save(const CompareRun *run, Oid leaf, const ComparePoint *point, int64 rows,
				 bool go_on)
{
	OwnerRights rights;
	Oid			types[] = {OIDOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, INT8OID, INT8OID, BOOLOID,
	INT8OID};
	ListCell   *cell;

	/* A transaction that must not write may compare all the same. */
	if (XactReadOnly)
		return;
	rights = owner_become(COMPARISONS_TABLE);
	SPI_connect();
	run_statement(FORGET_DROPPED, 0, NULL, NULL, NULL);
	foreach(cell, run->peers)
	{
		const ComparePeer *peer = lfirst(cell);
		Datum		values[] = {
			ObjectIdGetDatum(leaf),
			CStringGetTextDatum(peer->name),
			BoolGetDatum(point->finished),
			BoolGetDatum(point->deletions),
			point->after ? CStringGetTextDatum(point->after) : (Datum) 0,
			Int64GetDatum(rows),
			Int64GetDatum(count_differences(run, leaf, peer)),
			BoolGetDatum(go_on),
			Int64GetDatum((int64) point->skipped),
		};

		run_statement(SAVE_POINT, lengthof(types), types, values, point->after ? NULL : "    n    ");
	}
	SPI_finish();
	owner_be_oneself(&rights);
}

static int64
count_differences(const CompareRun *run, Oid leaf, const ComparePeer *peer)
{
	int64		n = 0;
	ListCell   *cell;

	foreach(cell, run->differences)
	{
		const Difference *difference = lfirst(cell);

		n += difference->leaf == leaf && difference->peer == peer;
	}
	return n;
}

/* So many of the differences that were noted are no more. */
void
comparisons_save_repaired(Oid leaf, const char *peer, int64 repaired)
{
	OwnerRights rights = owner_become(COMPARISONS_TABLE);
	Oid			types[] = {OIDOID, TEXTOID, INT8OID};
	Datum		values[] = {
		ObjectIdGetDatum(leaf), CStringGetTextDatum(peer), Int64GetDatum(repaired),
	};

	SPI_connect();
	run_statement(SAVE_REPAIRED, lengthof(types), types, values, NULL);
	SPI_finish();
	owner_be_oneself(&rights);
}

static void
run_statement(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(result));
}
