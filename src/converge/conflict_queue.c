/*-------------------------------------------------------------------------
 *
 * conflict_queue.c
 *	  Columns that have several values, until somebody decides:
 *	  consistency.unresolved(), consistency.resolve().
 *
 * The values are in the version of the row, the one that was written last is in
 * the column, too.  Rows are read and updated by queries, with the caller's
 * rights.
 *
 * Any update that changes such a column replaces all values.  An update to what
 * it shows already changes nothing, and clients that write back whole rows do
 * that all the time.  resolve() tells the trigger that it means it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "converge/conflict_queue.h"
#include "converge/key_operator.h"
#include "converge/row_text.h"
#include "converge/table_rules.h"
#include "crdt/clock.h"
#include "crdt/row_version.h"

#define UNRESOLVED_COLUMNS 6

/* rows that are read at a time */
#define FETCH_ROWS 1000

/* What unresolved() returns, row by row */
typedef struct Queue
{
	ReturnSetInfo *rsinfo;
	TableRules *rules;
	const char *key;			/* of the row at hand */
} Queue;

/* what resolve() is updating; InvalidOid: nothing */
static Oid	deciding_relation = InvalidOid;
static const char *deciding_column;

static const char *only(TableRules *rules);
static Relation open_attached(Oid id, TableRules **rules);
static char *unresolved_query(TableRules *rules);
static char *schema_of_version(TableRules *rules);
static void put_row(Queue *queue, HeapTuple row, TupleDesc desc);
static void put_values(Queue *queue, const RowVersion *version, const ColumnValues *column);
static const KeptValue *last_written(const ColumnValues *column);
static ColumnRule *column_to_resolve(TableRules *rules, const char *name);
static char *key_text(Jsonb *key);
static char *resolve_query(TableRules *rules, ColumnRule *column);
static void decide(TableRules *rules, ColumnRule *column, const char *key, const char *value);
static uint64 update(TableRules *rules, ColumnRule *column, const char *key, const char *value);

PG_FUNCTION_INFO_V1(consistency_unresolved);
PG_FUNCTION_INFO_V1(consistency_resolve);

/* Does whoever updates this column now mean to replace all of its values? */
bool
conflict_queue_decides(Oid relation, const char *column)
{
	if (likely(!OidIsValid(deciding_relation)) || strcmp(column, deciding_column) != 0)
		return false;
	return relation == deciding_relation ||
		(get_rel_relispartition(relation) &&
		 list_member_oid(get_partition_ancestors(relation), deciding_relation));
}

/* Rows of a partitioned table are in its partitions; no other table has children. */
static const char *
only(TableRules *rules)
{
	return get_rel_relkind(rules->relation) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ";
}

static Relation
open_attached(Oid id, TableRules **rules)
{
	Relation	relation = try_relation_open(id, AccessShareLock);

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", id)));
	*rules = table_rules(relation);
	return relation;
}

/* --- what is to be decided ----------------------------------------------- */

/*
 * consistency.unresolved(relation regclass)
 *		key, column, value, written_at, replica, shown
 */
Datum
consistency_unresolved(PG_FUNCTION_ARGS)
{
	Queue		queue = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	Relation	relation = open_attached(PG_GETARG_OID(0), &queue.rules);
	Portal		portal;
	uint64		fetched;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, unresolved_query(queue.rules), 0, NULL, NULL, NULL, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		fetched = SPI_processed;
		for (uint64 i = 0; i < fetched; i++)
			put_row(&queue, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
	} while (fetched > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	table_close(relation, AccessShareLock);
	return (Datum) 0;
}

/*
 * The version and the key of each row with something to decide.  A partial index
 * with the same condition makes it quick.
 */
static char *
unresolved_query(TableRules *rules)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s", ROW_VERSION_COLUMN);
	for (int i = 0; i < rules->nkeys; i++)
		appendStringInfo(&query, ", %s", quote_identifier(rules->columns[rules->keys[i] - 1].name));
	appendStringInfo(&query, " FROM %s%s WHERE %s.conflicts(%s) OPERATOR(pg_catalog.<>) '{}'",
					 only(rules), rules->name, schema_of_version(rules), ROW_VERSION_COLUMN);
	return query.data;
}

/* The schema of the type, and of its functions. */
static char *
schema_of_version(TableRules *rules)
{
	Oid			type = rules->columns[rules->version - 1].type;
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return pstrdup(quote_identifier(get_namespace_name(schema)));
}

/* All that is to be decided in one row. */
static void
put_row(Queue *queue, HeapTuple row, TupleDesc desc)
{
	TableRules *rules = queue->rules;
	Datum	   *key = palloc0(sizeof(Datum) * rules->ncolumns);
	RowVersion	version;
	bool		isnull;

	for (int i = 0; i < rules->nkeys; i++)
		key[rules->keys[i] - 1] = SPI_getbinval(row, desc, i + 2, &isnull);
	queue->key = row_text_key(rules, key);
	version = row_version_read((struct varlena *) DatumGetPointer(SPI_getbinval(row, desc, 1, &isnull)));
	for (int i = 0; i < version.nvalues; i++)
	{
		if (row_version_has_conflict(&version.values[i]))
			put_values(queue, &version, &version.values[i]);
	}
}

static void
put_values(Queue *queue, const RowVersion *version, const ColumnValues *column)
{
	const KeptValue *shown = last_written(column);

	for (const KeptValue *value = column->values; value < column->values + column->n; value++)
	{
		Datum		values[UNRESOLVED_COLUMNS];
		bool		nulls[UNRESOLVED_COLUMNS] = {false};

		values[0] = DirectFunctionCall1(jsonb_in, CStringGetDatum(queue->key));
		values[1] = DirectFunctionCall1(namein, CStringGetDatum(pnstrdup((const char *) column->name.at,
																		 crdt_left(&column->name))));
		nulls[2] = value->isnull;
		if (!value->isnull)
			values[2] = PointerGetDatum(cstring_to_text_with_len((const char *) value->value.at,
																 crdt_left(&value->value)));
		values[3] = TimestampTzGetDatum(clock_time((int64) value->write.stamp));
		values[4] = CStringGetTextDatum(psprintf("%" INT64_MODIFIER "x", value->write.replica));
		values[5] = BoolGetDatum(value == shown);
		tuplestore_putvalues(queue->rsinfo->setResult, queue->rsinfo->setDesc, values, nulls);
	}
}

/* The value that the column shows. */
static const KeptValue *
last_written(const ColumnValues *column)
{
	const KeptValue *last = column->values;

	for (const KeptValue *value = last + 1; value < column->values + column->n; value++)
	{
		if (write_stamp_compare(value->write, last->write) > 0)
			last = value;
	}
	return last;
}

/* --- deciding ------------------------------------------------------------ */

/* consistency.resolve(relation regclass, key jsonb, column name, value text) */
Datum
consistency_resolve(PG_FUNCTION_ARGS)
{
	TableRules *rules;
	Relation	relation;
	ColumnRule *column;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation, key and column must not be null"),
				 errhint("Take them from consistency.unresolved(). Only the value may be null.")));
	relation = open_attached(PG_GETARG_OID(0), &rules);
	column = column_to_resolve(rules, NameStr(*PG_GETARG_NAME(2)));
	decide(rules, column, key_text(PG_GETARG_JSONB_P(1)),
		   PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	table_close(relation, AccessShareLock);
	PG_RETURN_VOID();
}

static ColumnRule *
column_to_resolve(TableRules *rules, const char *name)
{
	for (int i = 0; i < rules->ncolumns; i++)
	{
		if (rules->columns[i].rule == RULE_MULTI_VALUE && strcmp(rules->columns[i].name, name) == 0)
			return &rules->columns[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("table %s has no column \"%s\" that keeps several values", rules->name, name),
			 errhint("Only columns with the rule \"multi_value\" are resolved.")));
}

/* A key as row_text.h has it; a key of a single column may be that column's value. */
static char *
key_text(Jsonb *key)
{
	StringInfoData text;
	JsonbIterator *iterator = JsonbIteratorInit(&key->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	initStringInfo(&text);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		char	   *element;

		if (token != WJB_ELEM)
			continue;
		element = value.type == jbvString ?
			pnstrdup(value.val.string.val, value.val.string.len) :
			JsonbToCString(NULL, &JsonbValueToJsonb(&value)->root, 0);
		appendStringInfoString(&text, text.len == 0 ? "[" : ", ");
		escape_json(&text, element);
	}
	if (text.len == 0)
		appendStringInfoChar(&text, '[');
	appendStringInfoChar(&text, ']');
	return text.data;
}

/* $1: the value; $2 and so on: the key */
static char *
resolve_query(TableRules *rules, ColumnRule *column)
{
	Relation	index = index_open(rules->key_index, AccessShareLock);
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "UPDATE %s%s SET %s = $1", only(rules), rules->name, quote_identifier(column->name));
	for (int i = 0; i < rules->nkeys; i++)
		appendStringInfo(&query, " %s %s %s $%d", i == 0 ? "WHERE" : "AND",
						 quote_identifier(rules->columns[rules->keys[i] - 1].name), key_operator_name(index, i), i + 2);
	index_close(index, AccessShareLock);
	return query.data;
}

/* Update the row, while the trigger is told that this decides. */
static void
decide(TableRules *rules, ColumnRule *column, const char *key, const char *value)
{
	uint64		updated = 0;

	deciding_relation = rules->relation;
	deciding_column = column->name;
	PG_TRY();
	{
		updated = update(rules, column, key, value);
	}
	PG_FINALLY();
	{
		deciding_relation = InvalidOid;
		deciding_column = NULL;
	}
	PG_END_TRY();
	if (updated == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("table %s has no row with the key %s", rules->name, key),
				 errhint("It may have been deleted, or may not be yours to update.")));
}

/* Returns the number of rows: 0 or 1. */
static uint64
update(TableRules *rules, ColumnRule *column, const char *key, const char *value)
{
	int			n = rules->nkeys + 1;
	Oid		   *types = palloc(sizeof(Oid) * n);
	Datum	   *arguments = palloc(sizeof(Datum) * n);
	char	   *nulls = palloc(n);
	Datum	   *keys = palloc0(sizeof(Datum) * rules->ncolumns);
	uint64		updated;

	memset(nulls, ' ', n);
	types[0] = column->type;
	nulls[0] = value == NULL ? 'n' : ' ';
	arguments[0] = value == NULL ? (Datum) 0 : row_text_parse(column, value);
	row_text_parse_key(rules, key, keys);
	for (int i = 0; i < rules->nkeys; i++)
	{
		types[i + 1] = rules->columns[rules->keys[i] - 1].type;
		arguments[i + 1] = keys[rules->keys[i] - 1];
	}
	SPI_connect();
	SPI_execute_with_args(resolve_query(rules, column), n, types, arguments, nulls, false, 0);
	updated = SPI_processed;
	SPI_finish();
	return updated;
}
