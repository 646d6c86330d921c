/*-------------------------------------------------------------------------
 *
 * key_scan.c
 *	  Reading rows of an attached table, or what is left of deleted ones, by key.
 *
 * The digest of a row is one of the texts of its columns, in the order of their
 * names, and of its version.  Texts are canonical, so it is the same at all members
 * whatever their settings, byte order or order of columns.  64 bits are enough
 * against accidents, and none against somebody who wants to forge a row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "core/compat.h"
#include "core/extension.h"
#include "group/key_scan.h"
#include "verify/table_access.h"

/* what a column holds that is null */
#define NULL_DIGEST UINT64CONST(0x9E3779B97F4A7C15)

static void choose_columns(KeyTable *table);
static KeyScan *begin(const KeyTable *table, bool deletions);
static void start(KeyScan *scan, Snapshot snapshot);
static void add_bound(KeyScan *scan, const char *key, StrategyNumber strategy);
static void add_row_bound(KeyScan *scan, const Datum *values, StrategyNumber strategy);
static void add_key(KeyScan *scan, ScanKey key, int column, StrategyNumber strategy, Datum value);
static void add_table_name(KeyScan *scan);
static uint64 mix(uint64 digest);
static uint64 bytes_digest(const char *bytes, Size length);
static uint64 text_digest(const char *text);
static uint64 varlena_digest(Datum value);
static uint64 column_digest(const KeyScan *scan, ColumnRule *column);

/*
 * key_table_open
 *		Open what holds rows of a table, if the current role may read all of them.
 *
 * NULL if it is gone, or belongs to that table no more, and that is no error.
 */
KeyTable *
key_table_open(Oid root, Oid leaf, bool missing_ok)
{
	Relation	relation = table_access_open(root, leaf, missing_ok);
	KeyTable   *table;

	if (relation == NULL)
		return NULL;
	table = palloc0(sizeof(KeyTable));
	table->root = root;
	table->relation = relation;
	table->rules = table_rules(relation);
	choose_columns(table);
	return table;
}

/* The lock is kept. */
void
key_table_close(KeyTable *table)
{
	table_close(table->relation, NoLock);
	pfree(table);
}

/* Its name, the same at all members. */
char *
key_table_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

/* Generated ones follow from the others. */
static void
choose_columns(KeyTable *table)
{
	TableRules *rules = table->rules;
	uint64		digest = 0;

	table->columns = palloc(sizeof(ColumnRule *) * rules->ncolumns);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[rules->by_name[i]];

		if (column->rule == RULE_NOTHING)
			continue;
		table->columns[table->ncolumns++] = column;
		digest = mix(digest ^ text_digest(column->name));
	}
	table->columns_digest = (int64) digest;
}

/* --- scans --------------------------------------------------------------- */

/*
 * key_scan_snapshot
 *		A snapshot of what is committed now; to be unregistered.
 *
 * Of our own transaction it shows nothing: other members can't have that.
 */
Snapshot
key_scan_snapshot(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	snapshot->curcid = FirstCommandId;
	return snapshot;
}

/* Rows behind one key, up to another one. */
KeyScan *
key_scan_range(const KeyTable *table, bool deletions, Snapshot snapshot,
			   const char *after, const char *upto)
{
	KeyScan    *scan = begin(table, deletions);

	if (after != NULL)
		add_bound(scan, after, BTGreaterStrategyNumber);
	if (upto != NULL)
		add_bound(scan, upto, BTLessEqualStrategyNumber);
	start(scan, snapshot);
	return scan;
}

/* The row of a key, if there is one. */
KeyScan *
key_scan_key(const KeyTable *table, bool deletions, Snapshot snapshot, const char *key)
{
	KeyScan    *scan = begin(table, deletions);

	add_bound(scan, key, BTEqualStrategyNumber);
	start(scan, snapshot);
	return scan;
}

static KeyScan *
begin(const KeyTable *table, bool deletions)
{
	KeyScan    *scan = palloc0(sizeof(KeyScan));

	scan->table = table;
	scan->deletions = deletions;
	if (deletions)
	{
		scan->relation = table_open(extension_relation(TOMBSTONE_TABLE), AccessShareLock);
		scan->index = index_open(COMPAT_PRIMARY_KEY_INDEX(scan->relation), AccessShareLock);
		add_table_name(scan);
	}
	else
	{
		scan->relation = table->relation;
		scan->index = index_open(table->rules->key_index, AccessShareLock);
	}
	scan->slot = table_slot_create(scan->relation, NULL);
	scan->nesting = row_text_settings();
	return scan;
}

static void
start(KeyScan *scan, Snapshot snapshot)
{
	scan->scan = COMPAT_INDEX_BEGINSCAN(scan->relation, scan->index, snapshot, scan->nkeys);
	index_rescan(scan->scan, scan->keys, scan->nkeys, NULL, 0);
}

static void
add_bound(KeyScan *scan, const char *key, StrategyNumber strategy)
{
	TableRules *rules = scan->table->rules;
	Datum	   *values;

	if (scan->deletions)
	{
		add_key(scan, &scan->keys[scan->nkeys++], 1, strategy, CStringGetTextDatum(key));
		return;
	}
	values = palloc0(sizeof(Datum) * rules->ncolumns);
	row_text_parse_key(rules, key, values);
	if (rules->nkeys > 1 && strategy != BTEqualStrategyNumber)
	{
		add_row_bound(scan, values, strategy);
		return;
	}
	for (int i = 0; i < rules->nkeys; i++)
		add_key(scan, &scan->keys[scan->nkeys++], i, strategy, values[rules->keys[i] - 1]);
}

/* Of several columns: (a, b) > (x, y), as indexes know it. */
static void
add_row_bound(KeyScan *scan, const Datum *values, StrategyNumber strategy)
{
	TableRules *rules = scan->table->rules;
	ScanKey		members = scan->members[strategy == BTGreaterStrategyNumber ? 0 : 1];
	ScanKey		header = &scan->keys[scan->nkeys++];

	for (int i = 0; i < rules->nkeys; i++)
	{
		Oid			opclass = scan->index->rd_opcintype[i];

		ScanKeyEntryInitialize(&members[i],
							   i == rules->nkeys - 1 ? SK_ROW_MEMBER | SK_ROW_END : SK_ROW_MEMBER,
							   i + 1, strategy, opclass, scan->index->rd_indcollation[i],
							   get_opfamily_proc(scan->index->rd_opfamily[i], opclass, opclass,
												 BTORDER_PROC),
							   values[rules->keys[i] - 1]);
	}
	memset(header, 0, sizeof(ScanKeyData));
	header->sk_flags = SK_ROW_HEADER;
	header->sk_attno = 1;
	header->sk_strategy = strategy;
	header->sk_argument = PointerGetDatum(members);
}

/* A condition on one column of the index, from 0. */
static void
add_key(KeyScan *scan, ScanKey key, int column, StrategyNumber strategy, Datum value)
{
	Oid			type = scan->index->rd_opcintype[column];
	Oid			operator = get_opfamily_member(scan->index->rd_opfamily[column], type, type,
											   strategy);

	ScanKeyEntryInitialize(key, 0, column + 1, strategy, type,
						   scan->index->rd_indcollation[column], get_opcode(operator), value);
}

static void
add_table_name(KeyScan *scan)
{
	add_key(scan, &scan->keys[scan->nkeys++], 0, BTEqualStrategyNumber,
			CStringGetTextDatum(scan->table->rules->name));
}

bool
key_scan_next(KeyScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	slot_getallattrs(scan->slot);
	return true;
}

void
key_scan_end(KeyScan *scan)
{
	row_text_settings_end(scan->nesting);
	index_endscan(scan->scan);
	index_close(scan->index, NoLock);
	ExecDropSingleTupleTableSlot(scan->slot);
	if (scan->deletions)
		table_close(scan->relation, NoLock);
	pfree(scan);
}

/* --- rows ---------------------------------------------------------------- */

/* The key of the row that was found. */
char *
key_scan_text(const KeyScan *scan)
{
	if (scan->deletions)
		return TextDatumGetCString(scan->slot->tts_values[TOMBSTONE_KEY - 1]);
	return row_text_key(scan->table->rules, scan->slot->tts_values);
}

/*
 * key_scan_digest
 *		The digest of the row that was found.  Those of its columns go to "columns"
 *		if that isn't NULL; of a deletion there are none.
 *
 * What it allocates is in the current memory context.
 */
uint64
key_scan_digest(const KeyScan *scan, uint64 *columns)
{
	const KeyTable *table = scan->table;
	uint64		digest = 0;

	if (scan->deletions)
	{
		digest = varlena_digest(scan->slot->tts_values[TOMBSTONE_KEY - 1]);
		return mix(digest ^ varlena_digest(scan->slot->tts_values[TOMBSTONE_VERSION - 1]));
	}
	for (int i = 0; i < table->ncolumns; i++)
	{
		uint64		column = column_digest(scan, table->columns[i]);

		digest = mix(digest ^ column);
		if (columns != NULL)
			columns[i] = column;
	}
	return digest;
}

static uint64
column_digest(const KeyScan *scan, ColumnRule *column)
{
	int			i = column->number - 1;

	if (scan->slot->tts_isnull[i])
		return NULL_DIGEST;
	if (column->rule == RULE_VERSION)
		return varlena_digest(scan->slot->tts_values[i]);
	return text_digest(row_text_output(column, scan->slot->tts_values[i]));
}

static uint64
varlena_digest(Datum value)
{
	struct varlena *whole = PG_DETOAST_DATUM_PACKED(value);

	return bytes_digest(VARDATA_ANY(whole), VARSIZE_ANY_EXHDR(whole));
}

/* Members may have other encodings. */
static uint64
text_digest(const char *text)
{
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		text = pg_server_to_any(text, strlen(text), PG_UTF8);

	return bytes_digest(text, strlen(text));
}

/* The hash functions of the server depend on the order of bytes in memory. */
static uint64
bytes_digest(const char *bytes, Size length)
{
	uint64		digest = mix(length);

	for (Size i = 0; i < length; i += sizeof(uint64))
	{
		uint64		word = 0;
		Size		n = Min(length - i, sizeof(uint64));

		for (Size j = 0; j < n; j++)
			word |= (uint64) (unsigned char) bytes[i + j] << (8 * j);
		digest = mix(digest ^ word);
	}
	return digest;
}

/* One to one; each bit has a say in each other one. */
static uint64
mix(uint64 digest)
{
	digest = (digest ^ (digest >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	digest = (digest ^ (digest >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return (digest ^ (digest >> 31)) + NULL_DIGEST;
}
