/*-------------------------------------------------------------------------
 *
 * attach_check.c
 *	  What keeps a table from converging.
 *
 * Asked before a table is attached, and of attached ones by consistency.check():
 * somebody may have changed them since.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/sysattr.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "converge/attach_check.h"
#include "converge/table_rules.h"
#include "core/compat.h"
#include "core/extension.h"
#include "crdt/json.h"

/* A table that is being looked at */
typedef struct Look
{
	Relation	relation;
	const char *name;			/* quoted, with its schema */
	Jsonb	   *declaration;
	Bitmapset  *key;			/* columns, less
								 * FirstLowInvalidHeapAttributeNumber */
	List	   *problems;		/* AttachProblem */
} Look;

static bool is_accepted(Jsonb *declaration, const char *kind);
static void add(Look *look, const char *kind, const char *problem, const char *mend);
static void check_column_rule(Relation relation, const char *column, const char *rule);
static void check_function(const char *column, const char *rule, Oid type);
static char *rule_said(Jsonb *declaration, const char *column);
static void look_at_kind(Look *look);
static void look_at_key(Look *look);
static bool has_one_text(Relation relation, Oid key, AttrNumber number);
static void look_at_rules(Look *look);
static void look_at_rule(Look *look, const char *column);
static void look_at_key_defaults(Look *look);
static bool find_sequence(Node *node, Oid *sequence);
static void look_at_indexes(Look *look);
static void look_at_constraints(Look *look);
static bool is_one_writer(Look *look, Bitmapset *columns);
static void look_at_triggers(Look *look);
static void look_at_publications(Look *look);

/* Can a table be attached in spite of problems of this kind? */
bool
attach_check_can_accept(const char *kind)
{
	static const char *const kinds[] = {"key", "sequence", "unique", "check", "trigger", "publication"};

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

/* Was it? */
static bool
is_accepted(Jsonb *declaration, const char *kind)
{
	JsonbValue	buffer;
	JsonbValue *accept = getKeyJsonValueFromContainer(&declaration->root, "accept", strlen("accept"), &buffer);
	JsonbValue	sought = {.type = jbvString};

	if (kind == NULL || accept == NULL || accept->type != jbvBinary)
		return false;
	sought.val.string.val = unconstify(char *, kind);
	sought.val.string.len = strlen(kind);
	return findJsonbValueFromContainer(accept->val.binary.data, JB_FARRAY, &sought) != NULL;
}

static void
add(Look *look, const char *kind, const char *problem, const char *mend)
{
	AttachProblem *found;

	if (is_accepted(look->declaration, kind))
		return;
	found = palloc(sizeof(AttachProblem));
	found->kind = kind;
	found->problem = problem;
	found->mend = mend;
	look->problems = lappend(look->problems, found);
}

/* --- the declaration ----------------------------------------------------- */

/* Raise an error unless the rules are for columns that can have them. */
void
attach_check_declaration(Relation relation, Jsonb *declaration)
{
	JsonbValue	buffer;
	JsonbValue *columns = getKeyJsonValueFromContainer(&declaration->root, "columns", strlen("columns"), &buffer);
	Jsonb	   *object = columns == NULL ? NULL : JsonbValueToJsonb(columns);
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *column = NULL;

	if (object == NULL || !JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the rules of columns have to be a JSON object"),
				 errhint("Write, for example, '{\"price\": \"highest\"}'.")));
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			column = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
			check_column_rule(relation, column, pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the rule of column \"%s\" has to be a string", column)));
	}
}

static void
check_column_rule(Relation relation, const char *column, const char *rule)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), column);
	MergeRule	known = table_rules_parse(rule);
	Oid			type;

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", column, RelationGetRelationName(relation))));
	type = get_atttype(RelationGetRelid(relation), number);
	if (table_rules_type_merges(type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" merges by its type, %s", column, format_type_be(type)),
				 errhint("Leave it out.")));
	if (known == RULE_NOTHING)
		check_function(column, rule, type);
	if ((known == RULE_HIGHEST || known == RULE_LOWEST) &&
		!OidIsValid(lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s of column \"%s\" has no order", format_type_be(type), column),
				 errhint("Choose another rule for the column.")));
}

static void
check_function(const char *column, const char *rule, Oid type)
{
	Oid			function;

	if (strchr(rule, '(') == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown rule \"%s\" for column \"%s\"", rule, column),
				 errhint("Rules are last_writer, first, highest, lowest, multi_value, or a function with the types of its arguments, as in 'app.merge_tags(text[],text[])'.")));
	function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(rule)));
	if (!table_rules_function_fits(function, type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot merge column \"%s\"", rule, column),
				 errhint("It has to take two values of type %s, return one, and be IMMUTABLE.", format_type_be(type))));
	if (COMPAT_FUNCTION_ACLCHECK(function, GetUserId()) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, rule);
}

/* What was said of a column; NULL if nothing. */
static char *
rule_said(Jsonb *declaration, const char *column)
{
	JsonbValue	buffer;
	JsonbValue	inner;
	JsonbValue *columns = getKeyJsonValueFromContainer(&declaration->root, "columns", strlen("columns"), &buffer);
	JsonbValue *rule = NULL;

	if (columns != NULL && columns->type == jbvBinary)
		rule = getKeyJsonValueFromContainer(columns->val.binary.data, column, strlen(column), &inner);
	return rule == NULL || rule->type != jbvString ? NULL : pnstrdup(rule->val.string.val, rule->val.string.len);
}

/* --- the table ----------------------------------------------------------- */

/* What keeps the table from converging, but for what was accepted: AttachProblem. */
List *
attach_check_table(Relation relation, Jsonb *declaration)
{
	Look		look = {.relation = relation,.declaration = declaration};

	look.name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	look_at_kind(&look);
	if (look.problems != NIL)
		return look.problems;
	look_at_rules(&look);
	look_at_key(&look);
	look_at_key_defaults(&look);
	look_at_indexes(&look);
	look_at_constraints(&look);
	look_at_triggers(&look);
	look_at_publications(&look);
	return look.problems;
}

static void
look_at_kind(Look *look)
{
	Form_pg_class form = look->relation->rd_rel;
	bool		is_table = form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE;

	if (!is_table || IsCatalogRelation(look->relation) || extension_owns_schema(form->relnamespace))
		add(look, NULL, "it is no table of an application", "Attach tables and partitioned tables.");
	else if (form->relpersistence != RELPERSISTENCE_PERMANENT)
		add(look, NULL, "it is not replicated, since it is temporary or unlogged", psprintf("ALTER TABLE %s SET LOGGED.", look->name));
	else if (form->relkind == RELKIND_RELATION && has_subclass(RelationGetRelid(look->relation)))
		add(look, NULL, "other tables inherit from it", "Use a partitioned table, or attach each table by itself once they don't inherit.");
}

static void
look_at_key(Look *look)
{
	Relation	relation = look->relation;
	Oid			key = COMPAT_PRIMARY_KEY_INDEX(relation);
	char		identity = relation->rd_rel->relreplident;
	int			column = -1;

	if (!OidIsValid(key))
	{
		add(look, NULL, "it has no primary key that is checked at once",
			psprintf("ALTER TABLE %s ADD PRIMARY KEY, not DEFERRABLE.", look->name));
		return;
	}
	if (identity != REPLICA_IDENTITY_DEFAULT && !(identity == REPLICA_IDENTITY_INDEX && RelationGetReplicaIndex(relation) == key))
		add(look, NULL, "rows are not identified by the primary key when they are replicated",
			psprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT.", look->name));
	look->key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	while ((column = bms_next_member(look->key, column)) >= 0)
	{
		AttrNumber	number = column + FirstLowInvalidHeapAttributeNumber;
		const char *name = get_attname(RelationGetRelid(relation), number, false);

		if (table_rules_type_merges(get_atttype(RelationGetRelid(relation), number)))
			add(look, NULL, psprintf("column \"%s\" of its primary key has a type that merges", name),
				"Choose a key that never changes.");
		if (rule_said(look->declaration, name) != NULL)
			add(look, NULL, psprintf("column \"%s\" of its primary key was given a rule", name),
				"Leave it out: a key never changes.");
		if (!has_one_text(relation, key, number))
			add(look, "key",
				psprintf("equal values of column \"%s\" of its primary key may have different texts, as 1.0 and 1.00 have: a deletion of the one would not be known as that of the other", name),
				"Choose another type, such as numeric with a scale, or say accept => '{key}' if equal keys are always written alike.");
	}
}

/* Are equal values of a column of the key the same byte by byte? */
static bool
has_one_text(Relation relation, Oid key, AttrNumber number)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), number - 1);
	int32		typmod = attribute->atttypmod;
	Oid			type = getBaseTypeAndTypmod(attribute->atttypid, &typmod);
	Relation	index;
	bool		result = false;

	/* of a given length or scale they are */
	if ((type == NUMERICOID || type == BPCHAROID) && typmod >= 0)
		return true;
	index = index_open(key, AccessShareLock);
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		RegProcedure same = get_opfamily_proc(index->rd_opfamily[i], index->rd_opcintype[i], index->rd_opcintype[i], BTEQUALIMAGE_PROC);

		if (index->rd_index->indkey.values[i] == number && OidIsValid(same))
			result = DatumGetBool(OidFunctionCall1Coll(same, index->rd_indcollation[i], ObjectIdGetDatum(index->rd_opcintype[i])));
	}
	index_close(index, AccessShareLock);
	return result;
}

/* Rules of columns that were renamed or dropped since, and functions that don't fit any more. */
static void
look_at_rules(Look *look)
{
	JsonbValue	buffer;
	JsonbValue *columns = getKeyJsonValueFromContainer(&look->declaration->root, "columns", strlen("columns"), &buffer);
	Jsonb	   *object = columns == NULL ? NULL : JsonbValueToJsonb(columns);
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (object == NULL || !JB_ROOT_IS_OBJECT(object))
		return;
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			look_at_rule(look, pnstrdup(value.val.string.val, value.val.string.len));
	}
}

static void
look_at_rule(Look *look, const char *column)
{
	AttrNumber	number = get_attnum(RelationGetRelid(look->relation), column);
	const char *rule = rule_said(look->declaration, column);

	if (number <= 0)
		add(look, NULL, psprintf("it has no column \"%s\", which has a rule", column),
			"Call consistency.attach() for it again, with rules of the columns that it has.");
	else if (rule != NULL && table_rules_parse(rule) == RULE_NOTHING &&
			 !OidIsValid(table_rules_function(rule, get_atttype(RelationGetRelid(look->relation), number))))
		add(look, NULL, psprintf("there is no function %s that can merge column \"%s\"", rule, column),
			"Call consistency.attach() for it again, with rules that fit the types of its columns.");
}

/* Servers that draw keys from sequences of their own draw the same ones. */
static void
look_at_key_defaults(Look *look)
{
	int			column = -1;

	while ((column = bms_next_member(look->key, column)) >= 0)
	{
		AttrNumber	number = column + FirstLowInvalidHeapAttributeNumber;
		Node	   *value = build_column_default(look->relation, number);
		Oid			sequence = InvalidOid;
		HeapTuple	tuple;

		if (value == NULL || !find_sequence(value, &sequence))
			continue;
		tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_sequence) GETSTRUCT(tuple))->seqincrement == 1)
			add(look, "sequence",
				psprintf("column \"%s\" of its primary key comes from sequence \"%s\", which gives the same keys at all members",
						 get_attname(RelationGetRelid(look->relation), number, false), get_rel_name(sequence)),
				psprintf("Let each member have numbers of its own, as by ALTER SEQUENCE %s INCREMENT 10 RESTART 1 (RESTART 2, 3 and so on at the others), or use gen_random_uuid().",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(sequence)), get_rel_name(sequence))));
		ReleaseSysCache(tuple);
	}
}

/* Does the expression take a value from a sequence? */
static bool
find_sequence(Node *node, Oid *sequence)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr))
	{
		*sequence = ((NextValueExpr *) node)->seqid;
		return true;
	}
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL)
	{
		Node	   *argument = linitial(((FuncExpr *) node)->args);

		if (IsA(argument, Const) && !((Const *) argument)->constisnull)
		{
			*sequence = DatumGetObjectId(((Const *) argument)->constvalue);
			return true;
		}
	}
	return expression_tree_walker(node, find_sequence, sequence);
}

/* What two members both allow may violate them, and that stops replication. */
static void
look_at_indexes(Look *look)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(look->relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if ((form->indisunique && !form->indisprimary) || form->indisexclusion)
			add(look, "unique",
				psprintf("index \"%s\" is unique, too, or excludes rows: two members can each accept a row that the other one's forbids, and replication stops at that",
						 RelationGetRelationName(index)),
				"Drop it, make these columns the primary key, or say accept => '{unique}' if its values can't clash, as random ones can't.");
		index_close(index, AccessShareLock);
	}
}

/* Checks of columns that come from more than one writer may fail once they are merged. */
static void
look_at_constraints(Look *look)
{
	TupleConstr *constraints = RelationGetDescr(look->relation)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		Bitmapset  *columns = NULL;

		pull_varattnos(stringToNode(constraints->check[i].ccbin), 1, &columns);
		if (!is_one_writer(look, columns))
			add(look, "check",
				psprintf("constraint \"%s\" is about columns that are merged each by itself: the result may violate it, and replication stops at that",
						 constraints->check[i].ccname),
				"Drop it, let these columns go by the last writer of the row, or say accept => '{check}' if merging can't violate it.");
	}
}

/* Do the columns' values, whatever is merged, come from one write? */
static bool
is_one_writer(Look *look, Bitmapset *columns)
{
	JsonbValue	buffer;
	JsonbValue *last_writer = getKeyJsonValueFromContainer(&look->declaration->root, "last_writer", strlen("last_writer"), &buffer);
	bool		by_column = last_writer != NULL && last_writer->type == jbvString &&
	last_writer->val.string.len == strlen("column");
	Bitmapset  *others = bms_difference(columns, look->key);
	int			column = -1;

	while ((column = bms_next_member(others, column)) >= 0)
	{
		AttrNumber	number = column + FirstLowInvalidHeapAttributeNumber;
		const char *name;
		const char *rule;
		MergeRule	known;

		/* a whole-row reference, or a system column, that is the same for all */
		if (number <= 0)
			return number < 0;
		name = get_attname(RelationGetRelid(look->relation), number, false);
		rule = rule_said(look->declaration, name);
		known = rule == NULL ? RULE_LAST_OF_ROW : table_rules_parse(rule);
		if (table_rules_type_merges(get_atttype(RelationGetRelid(look->relation), number)) || known == RULE_NOTHING)
			return false;
		/* by itself it is what somebody wrote, but not together with others */
		if ((known != RULE_LAST_OF_ROW || by_column) && bms_num_members(others) > 1)
			return false;
	}
	return true;
}

static void
look_at_triggers(Look *look)
{
	TriggerDesc *triggers = look->relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (!TRIGGER_FOR_ROW(trigger->tgtype) || !TRIGGER_FOR_BEFORE(trigger->tgtype) ||
			strcmp(trigger->tgname, MERGE_TRIGGER) == 0)
			continue;
		if (strcmp(trigger->tgname, MERGE_TRIGGER) > 0)
			add(look, "trigger",
				psprintf("trigger \"%s\" fires after the merging and may undo it", trigger->tgname),
				psprintf("Rename it to sort before %s.", MERGE_TRIGGER));
		else if (trigger->tgenabled == TRIGGER_FIRES_ALWAYS || trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA)
			add(look, "trigger",
				psprintf("trigger \"%s\" fires also for what replication brings, and may change it", trigger->tgname),
				psprintf("ALTER TABLE %s ENABLE TRIGGER %s lets it fire for local changes only.", look->name, quote_identifier(trigger->tgname)));
	}
}

/* What isn't sent can't be merged. */
static void
look_at_publications(Look *look)
{
	Oid			table = RelationGetRelid(look->relation);
	ListCell   *cell;

	foreach(cell, GetRelationPublications(table))
	{
		Oid			publication = lfirst_oid(cell);
		HeapTuple	tuple = SearchSysCache2(PUBLICATIONRELMAP, ObjectIdGetDatum(table), ObjectIdGetDatum(publication));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (!heap_attisnull(tuple, Anum_pg_publication_rel_prattrs, NULL) ||
			!heap_attisnull(tuple, Anum_pg_publication_rel_prqual, NULL))
			add(look, "publication",
				psprintf("publication \"%s\" sends only some of its columns or rows", get_publication_name(publication, false)),
				"Publish the table without columns and WHERE, or say accept => '{publication}' if it isn't for members of the group.");
		ReleaseSysCache(tuple);
	}
}
