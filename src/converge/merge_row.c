/*-------------------------------------------------------------------------
 *
 * merge_row.c
 *	  Rows and tombstones that come from elsewhere by other ways than replication:
 *	  consistency.merge_row(), consistency.merge_tombstone().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "converge/ownership.h"
#include "converge/replicated_change.h"
#include "converge/row_merge.h"
#include "converge/row_store.h"
#include "converge/row_text.h"
#include "converge/tombstone.h"
#include "core/compat.h"

static Relation open_writable(Oid id, AclMode rights);
static RowImage parse_row(TableRules *rules, ArrayType *names, ArrayType *values);
static ColumnRule *find_column(TableRules *rules, const char *name);
static const char *outcome_text(ReplicatedOutcome outcome);

PG_FUNCTION_INFO_V1(consistency_merge_row);
PG_FUNCTION_INFO_V1(consistency_merge_tombstone);

/* A table that the caller may write, all of it: he needs each of these rights. */
static Relation
open_writable(Oid id, AclMode rights)
{
	Relation	relation = table_open(id, RowExclusiveLock);
	Oid			role = GetUserId();

	if (relation->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table that holds rows", RelationGetRelationName(relation)),
				 errhint("Name the partition that the row belongs to.")));
	/* all of them: pg_class_aclcheck() would be content with one */
	if (pg_class_aclmask(id, role, rights, ACLMASK_ALL) != rights)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(relation));
	if (ownership_guards(relation) && !COMPAT_OWNS_RELATION(id, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("ownership of rows of table \"%s\" is not heeded when rows are merged", RelationGetRelationName(relation)),
				 errhint("Merge as the table's owner, or write the row at the member that it belongs to.")));
	if (check_enable_rls(id, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table \"%s\" is not heeded when rows are merged", RelationGetRelationName(relation)),
				 errhint("Merge as a role that the policies don't apply to.")));
	return relation;
}

/* consistency.merge_row(relation regclass, names text[], "values" text[]) returns text */
Datum
consistency_merge_row(PG_FUNCTION_ARGS)
{
	Relation	relation;
	TableRules *rules;
	RowImage	row;
	HeapTuple	tuple;
	ReplicatedOutcome outcome;

	PreventCommandDuringRecovery("consistency.merge_row()");
	PreventCommandIfReadOnly("consistency.merge_row()");
	relation = open_writable(PG_GETARG_OID(0), ACL_INSERT | ACL_UPDATE);
	rules = table_rules(relation);
	row = parse_row(rules, PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_ARRAYTYPE_P(2));
	tuple = replicated_insert(relation, rules, row_image_tuple(rules, RelationGetDescr(relation), &row), &outcome);
	if (tuple != NULL)
	{
		RowStore   *store = row_store_open(relation, rules->key_index);

		row_store_insert(store, tuple);
		row_store_close(store);
	}
	table_close(relation, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(outcome_text(outcome)));
}

static const char *
outcome_text(ReplicatedOutcome outcome)
{
	switch (outcome)
	{
		case REPLICATED_INSERTED:
			return "inserted";
		case REPLICATED_MERGED:
			return "merged";
		case REPLICATED_UNCHANGED:
			return "unchanged";
		case REPLICATED_DELETED:
			break;
	}
	return "deleted";
}

/* Each column has to be there: what is missing can't be told from null. */
static RowImage
parse_row(TableRules *rules, ArrayType *names, ArrayType *values)
{
	RowImage	row = row_image_empty(rules);
	Datum	   *name_datums;
	Datum	   *value_datums;
	bool	   *name_nulls;
	bool	   *value_nulls;
	int			n;
	int			nvalues;
	bool	   *given = palloc0(sizeof(bool) * rules->ncolumns);

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &name_datums, &name_nulls, &n);
	deconstruct_array(values, TEXTOID, -1, false, TYPALIGN_INT, &value_datums, &value_nulls, &nvalues);
	if (n != nvalues)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("there are %d names of columns and %d values", n, nvalues)));
	for (int i = 0; i < n; i++)
	{
		ColumnRule *column = find_column(rules, name_nulls[i] ? "" : TextDatumGetCString(name_datums[i]));

		given[column->number - 1] = true;
		row.nulls[column->number - 1] = value_nulls[i];
		if (!value_nulls[i])
			row.values[column->number - 1] = row_text_parse(column, TextDatumGetCString(value_datums[i]));
	}
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];

		if (column->rule != RULE_NOTHING && (!given[i] || (row.nulls[i] && (column->rule == RULE_KEY || column->rule == RULE_VERSION))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the row has no value for column \"%s\"", column->name),
					 errhint("All columns have to be there, \"%s\" among them.", ROW_VERSION_COLUMN)));
	}
	row.version = row_version_read((struct varlena *) DatumGetPointer(row.values[rules->version - 1]));
	if (!row_version_lives(&row.version))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the version is that of a row that was deleted"),
				 errhint("Call consistency.merge_tombstone() for it.")));
	row_merge_show_values(rules, &row);
	return row;
}

static ColumnRule *
find_column(TableRules *rules, const char *name)
{
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];

		if (column->rule != RULE_NOTHING && strcmp(column->name, name) == 0)
			return column;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table %s does not exist, or is generated", name, rules->name)));
}

/* consistency.merge_tombstone(relation regclass, key text, version row_version, image jsonb) returns boolean: was it new? */
Datum
consistency_merge_tombstone(PG_FUNCTION_ARGS)
{
	Relation	relation;
	TableRules *rules;
	char	   *key;
	struct varlena *version;
	Jsonb	   *image;
	RowVersion	merged;
	bool		keep;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	PreventCommandDuringRecovery("consistency.merge_tombstone()");
	PreventCommandIfReadOnly("consistency.merge_tombstone()");
	relation = open_writable(PG_GETARG_OID(0), ACL_INSERT | ACL_UPDATE | ACL_DELETE);
	rules = table_rules(relation);
	key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	version = PG_GETARG_VARLENA_P(2);
	image = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	merged = row_version_read(version);
	if (row_version_lives(&merged))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the version is that of a row that exists"),
				 errhint("Call consistency.merge_row() for a row; a tombstone has a version that says the row was deleted.")));
	keep = replicated_tombstone(rules->name, &key, &version, &image);
	if (keep)
	{
		merged = row_version_read(version);
		tombstone_write(rules, key, &merged, image);
	}
	table_close(relation, NoLock);
	PG_RETURN_BOOL(keep);
}
