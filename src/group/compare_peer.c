/*-------------------------------------------------------------------------
 *
 * compare_peer.c
 *	  Rows of an attached table at a peer: asking for their digests, and answering.
 *
 * Each question is a short transaction at the peer, by the caller's mapping, and
 * its answer is bounded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "converge/tombstone.h"
#include "core/columns.h"
#include "core/extension.h"
#include "group/compare_peer.h"
#include "group/group.h"

/* rows that one question for digests has the peer read */
#define MAX_COUNTED_ROWS 16384

static char *table_arguments(const KeyTable *table);
static char *text_array(char **texts, int n);
static char *optional_literal(const char *text);
static void read_state(const KeyTable *table, TextRow *row, KeyState *state);
static struct varlena *parse_version(const char *text);
static uint64 *parse_columns(const char *text, int n);
static KeyTable *open_table(FunctionCallInfo fcinfo, int64 columns);
static Oid	relation_of(text *name);
static char **texts_of(ArrayType *array, int *n);
static RangeDigest range_digest(const KeyTable *table, bool deletions, Snapshot snapshot,
								const char *after, const char *upto, int64 *rows_left);
static void put_state(ReturnSetInfo *rsinfo, int n, const KeyTable *table, const KeyState *state);

PG_FUNCTION_INFO_V1(consistency_key_digests);
PG_FUNCTION_INFO_V1(consistency_key_rows);
PG_FUNCTION_INFO_V1(consistency_key_states);

/* --- asking --------------------------------------------------------------- */

/*
 * compare_peer_digests
 *		Digests of ranges, end to end: of each but the last one of the bounds up to
 *		the next one.
 */
void
compare_peer_digests(const ComparePeer *peer, const KeyTable *table, bool deletions,
					 char **bounds, int parts, RangeDigest *digests)
{
	char	   *query;
	List	   *rows;
	ListCell   *cell;

	query = psprintf("SELECT part, rows, digest FROM consistency.key_digests(%s, %s, %s)",
					 table_arguments(table), deletions ? "true" : "false",
					 text_array(bounds, parts + 1));
	rows = peer_select(peer->serverid, peer->name, query);
	foreach(cell, rows)
	{
		TextRow    *row = lfirst(cell);
		int			part = atoi(row->values[0]);

		if (part < 0 || part >= parts)
			elog(ERROR, "unexpected part %d in the answer of a peer", part);
		digests[part].rows = strtoll(row->values[1], NULL, 10);
		digests[part].sum = (uint64) strtoll(row->values[2], NULL, 10);
	}
	if (list_length(rows) != parts)
		elog(ERROR, "a peer has answered for %d parts of %d", list_length(rows), parts);
}

/*
 * compare_peer_rows
 *		Rows of a range, in the peer's order.  Sets *n: at most a limit; what is
 *		behind is another range.
 */
KeyDigest *
compare_peer_rows(const ComparePeer *peer, const KeyTable *table, bool deletions,
				  const char *after, const char *upto, int limit, int *n)
{
	List	   *rows = peer_select(peer->serverid, peer->name,
								   psprintf("SELECT key, digest FROM consistency.key_rows(%s, %s, %s, %s, %d)",
											table_arguments(table), deletions ? "true" : "false",
											optional_literal(after), optional_literal(upto), limit));
	KeyDigest  *digests = palloc(sizeof(KeyDigest) * Max(list_length(rows), 1));
	ListCell   *cell;

	*n = 0;
	foreach(cell, rows)
	{
		TextRow    *row = lfirst(cell);

		digests[*n].key = row->values[0];
		digests[*n].digest = (uint64) strtoll(row->values[1], NULL, 10);
		(*n)++;
	}
	return digests;
}

/* What the peer has of these keys. */
KeyState *
compare_peer_states(const ComparePeer *peer, const KeyTable *table, char **keys, int n,
					bool whole)
{
	List	   *rows = peer_select(peer->serverid, peer->name,
								   psprintf("SELECT n, deleted, version, columns, \"values\", image, settled"
											" FROM consistency.key_states(%s, %s, %s)",
											table_arguments(table), text_array(keys, n),
											whole ? "true" : "false"));
	KeyState   *states = palloc0(sizeof(KeyState) * Max(n, 1));
	ListCell   *cell;

	foreach(cell, rows)
	{
		TextRow    *row = lfirst(cell);
		int			i = atoi(row->values[0]);

		if (i < 0 || i >= n)
			elog(ERROR, "unexpected key %d in the answer of a peer", i);
		read_state(table, row, &states[i]);
	}
	return states;
}

static void
read_state(const KeyTable *table, TextRow *row, KeyState *state)
{
	bool		deleted = row->values[1][0] == 't';

	state->presence = deleted ? KEY_DELETED : KEY_PRESENT;
	state->version = parse_version(row->values[2]);
	if (!deleted)
		state->columns = parse_columns(row->values[3], table->ncolumns);
	state->values = row->values[4];
	state->image = row->values[5];
	state->settled = row->values[6][0] == 't';
}

static struct varlena *
parse_version(const char *text)
{
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(get_atttype(extension_relation(TOMBSTONE_TABLE), TOMBSTONE_VERSION), &input,
					 &ioparam);
	return (struct varlena *) DatumGetPointer(OidInputFunctionCall(input, unconstify(char *, text),
																   ioparam, -1));
}

/* An array: {1,2,...} */
static uint64 *
parse_columns(const char *text, int n)
{
	uint64	   *columns = palloc(sizeof(uint64) * n);

	for (int i = 0; i < n; i++)
	{
		char	   *rest;

		columns[i] = (uint64) strtoll(text +1, &rest, 10);
		if (rest == text +1)
			elog(ERROR, "unexpected digests in the answer of a peer");
		text = rest;
	}
	return columns;
}

/* What each of the functions takes first. */
static char *
table_arguments(const KeyTable *table)
{
	return psprintf("%s, %s, " INT64_FORMAT,
					quote_literal_cstr(key_table_name(table->root)),
					quote_literal_cstr(key_table_name(RelationGetRelid(table->relation))),
					table->columns_digest);
}

static char *
text_array(char **texts, int n)
{
	StringInfoData array;

	initStringInfo(&array);
	appendStringInfoString(&array, "ARRAY[");
	for (int i = 0; i < n; i++)
		appendStringInfo(&array, "%s%s", i == 0 ? "" : ", ", optional_literal(texts[i]));
	appendStringInfoString(&array, "]::pg_catalog.text[]");
	return array.data;
}

static char *
optional_literal(const char *text)
{
	return text == NULL ? "NULL" : quote_literal_cstr(text);
}

/* --- answering ------------------------------------------------------------ */

/*
 * consistency.key_digests(root text, leaf text, columns bigint, deletions boolean,
 *						   bounds text[])
 *		The digest of each of a chain of ranges of keys.
 */
Datum
consistency_key_digests(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		deletions = PG_GETARG_BOOL(3);
	int			n;
	char	  **bounds = texts_of(PG_GETARG_ARRAYTYPE_P(4), &n);
	int64		rows_left = MAX_COUNTED_ROWS;
	KeyTable   *table;
	Snapshot	snapshot;

	InitMaterializedSRF(fcinfo, 0);
	table = open_table(fcinfo, PG_GETARG_INT64(2));
	snapshot = key_scan_snapshot();
	for (int i = 0; i < n - 1; i++)
	{
		RangeDigest digest = range_digest(table, deletions, snapshot, bounds[i], bounds[i + 1],
										  &rows_left);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Int32GetDatum(i);
		values[1] = Int64GetDatum(digest.rows);
		values[2] = Int64GetDatum((int64) digest.sum);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	UnregisterSnapshot(snapshot);
	key_table_close(table);
	return (Datum) 0;
}

/* Counts its rows down from *rows_left; what is behind the last one isn't read. */
static RangeDigest
range_digest(const KeyTable *table, bool deletions, Snapshot snapshot, const char *after,
			 const char *upto, int64 *rows_left)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "digest of a row", ALLOCSET_DEFAULT_SIZES);
	KeyScan    *scan = key_scan_range(table, deletions, snapshot, after, upto);
	RangeDigest digest = {0};

	while (key_scan_next(scan))
	{
		if (--*rows_left < 0)
		{
			digest.rows = RANGE_TOO_LARGE;
			break;
		}
		MemoryContextSwitchTo(context);
		range_digest_add(&digest, key_scan_digest(scan, NULL));
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	key_scan_end(scan);
	MemoryContextDelete(context);
	return digest;
}

/*
 * consistency.key_rows(root text, leaf text, columns bigint, deletions boolean,
 *						after text, upto text, max_rows integer)
 *		The first rows of a range of keys.
 */
Datum
consistency_key_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	KeyTable   *table;
	KeyDigest  *rows;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < 7; i++)
	{
		if (PG_ARGISNULL(i) && i != 4 && i != 5)
			return (Datum) 0;
	}
	table = open_table(fcinfo, PG_GETARG_INT64(2));
	rows = key_digests(table, PG_GETARG_BOOL(3),
					   PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4)),
					   PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5)),
					   PG_GETARG_INT32(6), &n);
	for (int i = 0; i < n; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false};

		values[0] = CStringGetTextDatum(rows[i].key);
		values[1] = Int64GetDatum((int64) rows[i].digest);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	key_table_close(table);
	return (Datum) 0;
}

/*
 * key_digests
 *		The first rows of a range here, in the order of their keys.  Sets *n: at most
 *		the limit.
 */
KeyDigest *
key_digests(const KeyTable *table, bool deletions, const char *after, const char *upto,
			int limit, int *n)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "digest of a row", ALLOCSET_DEFAULT_SIZES);
	Snapshot	snapshot = key_scan_snapshot();
	KeyScan    *scan = key_scan_range(table, deletions, snapshot, after, upto);
	int			room = 64;
	KeyDigest  *rows = palloc(sizeof(KeyDigest) * room);

	*n = 0;
	while (*n < limit && key_scan_next(scan))
	{
		if (*n == room)
		{
			room *= 2;
			rows = repalloc(rows, sizeof(KeyDigest) * room);
		}
		MemoryContextSwitchTo(context);
		rows[*n].digest = key_scan_digest(scan, NULL);
		rows[*n].key = MemoryContextStrdup(old, key_scan_text(scan));
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		(*n)++;
	}
	key_scan_end(scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(context);
	return rows;
}

/*
 * consistency.key_states(root text, leaf text, columns bigint, keys text[],
 *						  whole boolean)
 *		What there is of these keys.
 */
Datum
consistency_key_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n;
	char	  **keys = texts_of(PG_GETARG_ARRAYTYPE_P(3), &n);
	KeyTable   *table;
	KeyState   *states;

	InitMaterializedSRF(fcinfo, 0);
	table = open_table(fcinfo, PG_GETARG_INT64(2));
	for (int i = 0; i < n; i++)
	{
		if (keys[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("keys must not be null")));
	}
	states = key_states(table, keys, n, PG_GETARG_BOOL(4));
	for (int i = 0; i < n; i++)
	{
		if (states[i].presence != KEY_ABSENT)
			put_state(rsinfo, i, table, &states[i]);
	}
	key_table_close(table);
	return (Datum) 0;
}

static void
put_state(ReturnSetInfo *rsinfo, int n, const KeyTable *table, const KeyState *state)
{
	Datum		values[7] = {0};
	bool		nulls[7] = {false};

	values[0] = Int32GetDatum(n);
	values[1] = BoolGetDatum(state->presence == KEY_DELETED);
	values[2] = PointerGetDatum(state->version);
	nulls[3] = state->columns == NULL;
	if (!nulls[3])
	{
		Datum	   *columns = palloc(sizeof(Datum) * table->ncolumns);

		for (int i = 0; i < table->ncolumns; i++)
			columns[i] = Int64GetDatum((int64) state->columns[i]);
		values[3] = PointerGetDatum(construct_array(columns, table->ncolumns, INT8OID,
													sizeof(int64), FLOAT8PASSBYVAL,
													TYPALIGN_DOUBLE));
	}
	column_put_text(values, nulls, 4, state->values);
	column_put_text(values, nulls, 5, state->image);
	values[6] = BoolGetDatum(state->settled);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The table of the first two arguments; it must have the columns of who asks. */
static KeyTable *
open_table(FunctionCallInfo fcinfo, int64 columns)
{
	Oid			root = relation_of(PG_GETARG_TEXT_PP(0));
	Oid			leaf = relation_of(PG_GETARG_TEXT_PP(1));
	KeyTable   *table = key_table_open(root, leaf, false);

	if (table->columns_digest != columns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has other columns here than at the member that compares",
						RelationGetRelationName(table->relation)),
				 errhint("Members replicate no definitions: change the table at all of them.")));
	return table;
}

static Oid
relation_of(text *name)
{
	return RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(name)),
							AccessShareLock, false);
}

/* The elements of an array; NULL where they are null. */
static char **
texts_of(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	texts = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		texts[i] = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
	return texts;
}
