/*-------------------------------------------------------------------------
 *
 * table_rules.c
 *	  How the rows of an attached table are merged, column by column.
 *
 * Read from the trigger's argument once in each backend, and again when anything
 * about the table has changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "converge/table_rules.h"
#include "converge/tombstone.h"
#include "core/compat.h"
#include "core/extension.h"

/* by what a type's output function is known that is a CRDT's */
extern Datum crdt_out(PG_FUNCTION_ARGS);

/* of MergeRule, as they are said when a table is attached */
static const struct
{
	const char *word;
	MergeRule	rule;
}			rule_words[] = {
	{"last_writer", RULE_LAST_OF_ROW},
	{"first", RULE_FIRST},
	{"highest", RULE_HIGHEST},
	{"lowest", RULE_LOWEST},
	{"multi_value", RULE_MULTI_VALUE},
};

/* types of which the text depends on no setting */
static const Oid independent_types[] = {
	BOOLOID, BPCHAROID, CHAROID, INT2OID, INT4OID, INT8OID, JSONBOID, JSONOID, NAMEOID,
	NUMERICOID, OIDOID, TEXTOID, UUIDOID, VARCHAROID
};

/* relation -> TableRules */
static HTAB *cache = NULL;

static void make_cache(void);
static void forget(Datum arg, Oid relation);
static void forget_all(Datum arg, int cacheid, uint32 hash);
static void build(TableRules *rules, Relation relation, Trigger *trigger);
static Jsonb *read_declaration(Relation relation, const Trigger *trigger);
static void read_columns(TableRules *rules, Relation relation, const Jsonb *said);
static void read_column(TableRules *rules, ColumnRule *column, Form_pg_attribute attribute, const Jsonb *columns);
static MergeRule rule_of(TableRules *rules, ColumnRule *column, Form_pg_attribute attribute, const Jsonb *columns);
static bool text_depends_on_settings(Oid type);
static void read_comparison(ColumnRule *column);
static void read_key(TableRules *rules, Relation relation);
static void read_other_indexes(TableRules *rules, Relation relation);
static void sort_by_name(TableRules *rules);
static int	compare_names(const void *a, const void *b, void *arg);
static char *text_of(const Jsonb *object, const char *key);

/*
 * table_rules
 *		The rules of a table, until the end of the transaction at least.
 *
 * An error if it isn't attached.
 */
TableRules *
table_rules(Relation relation)
{
	TableRules *rules = table_rules_if_attached(relation);

	if (rules == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not attached", RelationGetRelationName(relation)),
				 errhint("Call consistency.attach() for it.")));
	return rules;
}

/* The same; NULL if it isn't attached. */
TableRules *
table_rules_if_attached(Relation relation)
{
	Oid			id = RelationGetRelid(relation);
	TableRules *rules;
	Trigger    *trigger;
	bool		found;

	if (cache == NULL)
		make_cache();
	rules = hash_search(cache, &id, HASH_FIND, NULL);
	if (rules != NULL && rules->valid)
		return rules;
	trigger = table_rules_trigger(relation);
	if (trigger == NULL)
		return NULL;

	rules = hash_search(cache, &id, HASH_ENTER, &found);
	/* Somebody up the stack may be using what was there. */
	if (found && rules->context != NULL)
		MemoryContextSetParent(rules->context, TopTransactionContext);
	memset(rules, 0, sizeof(TableRules));
	rules->relation = id;
	build(rules, relation, trigger);
	rules->valid = true;
	return rules;
}

/* The trigger that merges; NULL if there is none. */
Trigger *
table_rules_trigger(Relation relation)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (trigger->tgnargs == 1 && strcmp(trigger->tgname, MERGE_TRIGGER) == 0)
			return trigger;
	}
	return NULL;
}

/* The rule of this name, RULE_NOTHING if there is none. */
MergeRule
table_rules_parse(const char *word)
{
	for (int i = 0; i < lengthof(rule_words); i++)
	{
		if (strcmp(word, rule_words[i].word) == 0)
			return rule_words[i].rule;
	}
	return RULE_NOTHING;
}

/* Do values of the type merge by themselves? */
bool
table_rules_type_merges(Oid type)
{
	Oid			output;
	bool		varlena;
	FmgrInfo	function;

	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info(output, &function);
	return function.fn_addr == crdt_out;
}

/* The functions of the user's that columns are merged by. */
List *
table_rules_functions(TableRules *rules)
{
	List	   *functions = NIL;

	for (int i = 0; i < rules->ncolumns; i++)
	{
		if (rules->columns[i].rule == RULE_FUNCTION && OidIsValid(rules->columns[i].function))
			functions = list_append_unique_oid(functions, rules->columns[i].function);
	}
	return functions;
}

/*
 * table_rules_function
 *		The function that a rule names; InvalidOid if none (any more) can merge the
 *		type.  Then merging goes on as if it failed.
 */
Oid
table_rules_function(const char *said, Oid type)
{
	LOCAL_FCINFO(call, 1);
	int			nesting = NewGUCNestLevel();
	Oid			function;

	/*
	 * whoever is the first to write must not choose which one runs as the
	 * owner
	 */
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = CStringGetTextDatum(said);
	call->args[0].isnull = false;
	function = DatumGetObjectId(to_regprocedure(call));
	AtEOXact_GUC(true, nesting);
	return !call->isnull && table_rules_function_fits(function, type) ? function : InvalidOid;
}

/* Can it merge values of the type? */
bool
table_rules_function_fits(Oid function, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	fits = proc->prokind == PROKIND_FUNCTION && !proc->proretset && proc->provolatile == PROVOLATILE_IMMUTABLE &&
		proc->prorettype == type && proc->pronargs == 2 &&
		proc->proargtypes.values[0] == type && proc->proargtypes.values[1] == type;
	ReleaseSysCache(tuple);
	return fits;
}

/* --- the cache ----------------------------------------------------------- */

static void
make_cache(void)
{
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(TableRules),
	};

	cache = hash_create("rules of attached tables", 16, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
	/* their names may change, which is nothing to the tables in them */
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_all, (Datum) 0);
}

/* The table has changed, or any may have. */
static void
forget(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS all;
	TableRules *rules;

	if (OidIsValid(relation))
	{
		rules = hash_search(cache, &relation, HASH_FIND, NULL);
		if (rules != NULL)
			rules->valid = false;
		return;
	}
	hash_seq_init(&all, cache);
	while ((rules = hash_seq_search(&all)) != NULL)
		rules->valid = false;
}

static void
forget_all(Datum arg, int cacheid, uint32 hash)
{
	forget(arg, InvalidOid);
}

static void
build(TableRules *rules, Relation relation, Trigger *trigger)
{
	MemoryContext before;
	Jsonb	   *said;
	char	   *deletes;
	char	   *last_writer;

	rules->context = AllocSetContextCreate(CacheMemoryContext, "rules of an attached table", ALLOCSET_SMALL_SIZES);
	before = MemoryContextSwitchTo(rules->context);
	said = read_declaration(relation, trigger);
	deletes = text_of(said, "deletes");
	last_writer = text_of(said, "last_writer");
	rules->add_wins = deletes != NULL && strcmp(deletes, "add_wins") == 0;
	rules->by_column = last_writer != NULL && strcmp(last_writer, "column") == 0;
	rules->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
											 RelationGetRelationName(relation));
	read_columns(rules, relation, said);
	read_key(rules, relation);
	sort_by_name(rules);
	MemoryContextSwitchTo(before);
}

/* Anybody may make such a trigger for a table of his, with any argument. */
static Jsonb *
read_declaration(Relation relation, const Trigger *trigger)
{
	Jsonb	   *said = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(trigger->tgargs[0])));
	JsonbValue	buffer;
	JsonbValue *columns = NULL;

	if (JB_ROOT_IS_OBJECT(said))
		columns = getKeyJsonValueFromContainer(&said->root, "columns", strlen("columns"), &buffer);
	if (!JB_ROOT_IS_OBJECT(said) ||
		(columns != NULL && (columns->type != jbvBinary || !JsonContainerIsObject(columns->val.binary.data))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger \"%s\" of table \"%s\" has an argument that isn't one of consistency.attach()",
						MERGE_TRIGGER, RelationGetRelationName(relation)),
				 errhint("Call consistency.attach() for the table.")));
	return said;
}

/* --- columns ------------------------------------------------------------- */

static void
read_columns(TableRules *rules, Relation relation, const Jsonb *said)
{
	TupleDesc	desc = RelationGetDescr(relation);
	JsonbValue	buffer;
	JsonbValue *member = getKeyJsonValueFromContainer((JsonbContainer *) &said->root, "columns", strlen("columns"), &buffer);
	Jsonb	   *columns = member == NULL ? NULL : JsonbValueToJsonb(member);

	rules->ncolumns = desc->natts;
	rules->columns = palloc0(sizeof(ColumnRule) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
		read_column(rules, &rules->columns[i], TupleDescAttr(desc, i), columns);
	if (rules->version == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of attached table \"%s\" is missing", ROW_VERSION_COLUMN, RelationGetRelationName(relation)),
				 errhint("Call consistency.detach() and then consistency.attach() for the table.")));
}

static void
read_column(TableRules *rules, ColumnRule *column, Form_pg_attribute attribute, const Jsonb *columns)
{
	Oid			output;
	Oid			input;
	bool		varlena;

	column->number = attribute->attnum;
	column->name = "";
	if (attribute->attisdropped || attribute->attgenerated != '\0')
		return;
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->not_null = attribute->attnotnull;
	column->byval = attribute->attbyval;
	column->length = attribute->attlen;
	column->collation = OidIsValid(attribute->attcollation) ? C_COLLATION_OID : InvalidOid;
	column->depends_on_settings = text_depends_on_settings(column->type);
	getTypeOutputInfo(column->type, &output, &varlena);
	fmgr_info_cxt(output, &column->output, rules->context);
	getTypeInputInfo(column->type, &input, &column->ioparam);
	fmgr_info_cxt(input, &column->input, rules->context);
	column->rule = rule_of(rules, column, attribute, columns);
	if (column->rule == RULE_HIGHEST || column->rule == RULE_LOWEST)
		read_comparison(column);
	if (column->rule == RULE_VERSION)
		rules->version = column->number;
}

/* What was said of it, or what its type says, or what all columns have. */
static MergeRule
rule_of(TableRules *rules, ColumnRule *column, Form_pg_attribute attribute, const Jsonb *columns)
{
	char	   *said = columns == NULL ? NULL : text_of(columns, NameStr(attribute->attname));
	MergeRule	rule;

	if (strcmp(NameStr(attribute->attname), ROW_VERSION_COLUMN) == 0 &&
		column->type == get_atttype(extension_relation("tombstones"), TOMBSTONE_VERSION))
		return RULE_VERSION;
	if (column->output.fn_addr == crdt_out)
		return RULE_CRDT;
	rule = said == NULL ? RULE_LAST_OF_ROW : table_rules_parse(said);
	if (rule == RULE_LAST_OF_ROW && rules->by_column)
		return RULE_LAST;
	if (rule != RULE_NOTHING)
		return rule;
	column->function = table_rules_function(said, column->type);
	return RULE_FUNCTION;
}

/*
 * May its text depend on settings, as that of times and of floating-point numbers
 * does?  Where it isn't known that it doesn't, so with arrays: maybe.
 */
static bool
text_depends_on_settings(Oid type)
{
	for (int i = 0; i < lengthof(independent_types); i++)
	{
		if (type == independent_types[i])
			return false;
	}
	return true;
}

static void
read_comparison(ColumnRule *column)
{
	TypeCacheEntry *entry = lookup_type_cache(column->type, TYPECACHE_CMP_PROC);

	if (!OidIsValid(entry->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s has no order", format_type_be(column->type)),
				 errhint("Choose another rule for column \"%s\".", column->name)));
	fmgr_info_cxt(entry->cmp_proc, &column->compare, CurrentMemoryContext);
}

/* --- the key ------------------------------------------------------------- */

static void
read_key(TableRules *rules, Relation relation)
{
	Oid			index = COMPAT_PRIMARY_KEY_INDEX(relation);
	Relation	key;

	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attached table \"%s\" has no primary key", RelationGetRelationName(relation)),
				 errhint("Add one, or call consistency.detach() for the table.")));
	key = index_open(index, AccessShareLock);
	rules->key_index = index;
	rules->nkeys = IndexRelationGetNumberOfKeyAttributes(key);
	rules->keys = palloc(sizeof(AttrNumber) * rules->nkeys);
	for (int i = 0; i < rules->nkeys; i++)
	{
		ColumnRule *column;
		Oid			equal = get_opfamily_member(key->rd_opfamily[i], key->rd_opcintype[i], key->rd_opcintype[i],
												BTEqualStrategyNumber);

		rules->keys[i] = key->rd_index->indkey.values[i];
		column = &rules->columns[rules->keys[i] - 1];
		column->rule = RULE_KEY;
		column->equal = get_opcode(equal);
		column->collation = key->rd_indcollation[i];
	}
	index_close(key, AccessShareLock);
	read_other_indexes(rules, relation);
}

/* Those that keep a row from being inserted, or let ON CONFLICT do something else. */
static void
read_other_indexes(TableRules *rules, Relation relation)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indexrelid != rules->key_index && (form->indisunique || form->indisexclusion) &&
			form->indimmediate && form->indisready)
			rules->other_indexes = lappend_oid(rules->other_indexes, form->indexrelid);
		index_close(index, AccessShareLock);
	}
}

/* --- helpers ------------------------------------------------------------- */

/* Members may have the columns in another order; names are the same. */
static void
sort_by_name(TableRules *rules)
{
	rules->by_name = palloc(sizeof(int) * rules->ncolumns);
	for (int i = 0; i < rules->ncolumns; i++)
		rules->by_name[i] = i;
	qsort_arg(rules->by_name, rules->ncolumns, sizeof(int), compare_names, rules);
}

static int
compare_names(const void *a, const void *b, void *arg)
{
	const TableRules *rules = arg;

	return strcmp(rules->columns[*(const int *) a].name, rules->columns[*(const int *) b].name);
}

/* A member of an object that is a string; NULL if there is none. */
static char *
text_of(const Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, strlen(key), &buffer);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}
