/*-------------------------------------------------------------------------
 *
 * attach.c
 *	  consistency.attach() and consistency.detach(): tables that converge.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"

#include "converge/attach_check.h"
#include "converge/table_rules.h"
#include "converge/tombstone.h"
#include "core/compat.h"
#include "core/extension.h"

static Relation open_owned(Oid id, const char *what);
static Jsonb *make_declaration(Jsonb *columns, const char *deletes, const char *last_writer, ArrayType *accept);
static void check_word(const char *name, const char *value, const char *one, const char *other);
static void append_columns(StringInfo out, Jsonb *columns);
static char *qualified(char *rule);
static void append_accepted(StringInfo out, ArrayType *accept);
static void refuse(Relation relation, List *problems);
static bool has_version_column(Oid id);
static int	begin_commands(void);
static void end_commands(int nesting);
static void run(const char *command,...) pg_attribute_printf(1, 2);
static void drop_triggers(Oid id);
static void create_triggers(Oid id, Jsonb *declaration);
static void depend_on_functions(Oid table);
static char *name_of(Oid table);

PG_FUNCTION_INFO_V1(consistency_attach);
PG_FUNCTION_INFO_V1(consistency_detach);

/* consistency.attach(relation regclass, columns jsonb, deletes text, last_writer text, accept text[]) returns void */
Datum
consistency_attach(PG_FUNCTION_ARGS)
{
	Jsonb	   *declaration;
	Oid			id = PG_GETARG_OID(0);
	Relation	relation = open_owned(id, "consistency.attach()");
	char	   *name = name_of(id);
	int			nesting;

	if (relation->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partition", RelationGetRelationName(relation)),
				 errhint("Attach the partitioned table that it belongs to.")));
	declaration = make_declaration(PG_GETARG_JSONB_P(1), text_to_cstring(PG_GETARG_TEXT_PP(2)),
								   text_to_cstring(PG_GETARG_TEXT_PP(3)), PG_GETARG_ARRAYTYPE_P(4));
	attach_check_declaration(relation, declaration);
	refuse(relation, attach_check_table(relation, declaration));
	/* The lock stays. */
	table_close(relation, NoLock);

	nesting = begin_commands();
	if (!has_version_column(id))
		run("ALTER TABLE %s ADD COLUMN %s %s NOT NULL DEFAULT '{}'", name, ROW_VERSION_COLUMN,
			format_type_be_qualified(get_atttype(extension_relation(TOMBSTONE_TABLE), TOMBSTONE_VERSION)));
	drop_triggers(id);
	create_triggers(id, declaration);
	end_commands(nesting);
	depend_on_functions(id);
	PG_RETURN_VOID();
}

/* consistency.detach(relation regclass) returns void */
Datum
consistency_detach(PG_FUNCTION_ARGS)
{
	Oid			id = PG_GETARG_OID(0);
	Relation	relation = open_owned(id, "consistency.detach()");
	char	   *name = name_of(id);
	ListCell   *cell;
	int			nesting;

	if (table_rules_trigger(relation) == NULL || relation->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not attached", RelationGetRelationName(relation)),
				 relation->rd_rel->relispartition ? errhint("Detach the partitioned table that it belongs to.") : 0));
	table_close(relation, NoLock);
	nesting = begin_commands();
	drop_triggers(id);
	run("ALTER TABLE %s DROP COLUMN IF EXISTS %s", name, ROW_VERSION_COLUMN);
	end_commands(nesting);
	foreach(cell, find_all_inheritors(id, AccessExclusiveLock, NULL))
		tombstone_remove_all(name_of(lfirst_oid(cell)));
	PG_RETURN_VOID();
}

/* A table of the caller's, locked against everybody else. */
static Relation
open_owned(Oid id, const char *what)
{
	Relation	relation;

	PreventCommandDuringRecovery(what);
	PreventCommandIfReadOnly(what);
	relation = table_open(id, AccessExclusiveLock);
	if (!COMPAT_OWNS_RELATION(id, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relation->rd_rel->relkind), RelationGetRelationName(relation));
	CheckTableNotInUse(relation, what);
	return relation;
}

static char *
name_of(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
}

/* --- what is declared ---------------------------------------------------- */

/* As the trigger is to have it. */
static Jsonb *
make_declaration(Jsonb *columns, const char *deletes, const char *last_writer, ArrayType *accept)
{
	StringInfoData text;

	check_word("deletes", deletes, "remove_wins", "add_wins");
	check_word("last_writer", last_writer, "row", "column");
	initStringInfo(&text);
	appendStringInfo(&text, "{\"deletes\": \"%s\", \"last_writer\": \"%s\", \"columns\": ", deletes, last_writer);
	append_columns(&text, columns);
	append_accepted(&text, accept);
	appendStringInfoChar(&text, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

/* Rules of columns.  What isn't as it should be is left to the checks. */
static void
append_columns(StringInfo out, Jsonb *columns)
{
	JsonbIterator *iterator = JsonbIteratorInit(&columns->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	const char *separator = "{";

	if (!JB_ROOT_IS_OBJECT(columns) || JB_ROOT_COUNT(columns) == 0)
	{
		(void) JsonbToCString(out, &columns->root, VARSIZE(columns));
		return;
	}
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			appendStringInfoString(out, separator);
			escape_json(out, pnstrdup(value.val.string.val, value.val.string.len));
			separator = ", ";
		}
		else if (token == WJB_VALUE && value.type == jbvString)
		{
			appendStringInfoString(out, ": ");
			escape_json(out, qualified(pnstrdup(value.val.string.val, value.val.string.len)));
		}
		else if (token == WJB_VALUE)
			appendStringInfoString(out, ": null");
	}
	appendStringInfoChar(out, '}');
}

/* A function by a name that means the same to everybody, whatever his search_path. */
static char *
qualified(char *rule)
{
	int			nesting;
	Oid			function;
	char	   *name;

	if (table_rules_parse(rule) != RULE_NOTHING || strchr(rule, '(') == NULL)
		return rule;
	function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(rule)));
	nesting = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	name = format_procedure(function);
	AtEOXact_GUC(true, nesting);
	return name;
}

/* What was accepted, so that consistency.check() accepts it as well. */
static void
append_accepted(StringInfo out, ArrayType *accept)
{
	Datum	   *words;
	bool	   *nulls;
	int			n;

	deconstruct_array(accept, TEXTOID, -1, false, TYPALIGN_INT, &words, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *word = nulls[i] ? "" : TextDatumGetCString(words[i]);

		if (!attach_check_can_accept(word))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot accept \"%s\"", word),
					 errhint("What can be accepted is key, sequence, unique, check, trigger and publication.")));
		appendStringInfo(out, "%s\"%s\"", i == 0 ? ", \"accept\": [" : ", ", word);
	}
	if (n > 0)
		appendStringInfoChar(out, ']');
}

static void
check_word(const char *name, const char *value, const char *one, const char *other)
{
	if (strcmp(value, one) != 0 && strcmp(value, other) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\": \"%s\"", name, value),
				 errhint("It is \"%s\" or \"%s\".", one, other)));
}

/* --- refusals ------------------------------------------------------------ */

/* Raise an error if there are any. */
static void
refuse(Relation relation, List *problems)
{
	StringInfoData details;
	StringInfoData mends;
	ListCell   *cell;

	initStringInfo(&details);
	initStringInfo(&mends);
	foreach(cell, problems)
	{
		AttachProblem *problem = lfirst(cell);

		appendStringInfo(&details, "%s%c%s.", details.len == 0 ? "" : "\n", pg_toupper((unsigned char) problem->problem[0]), problem->problem + 1);
		appendStringInfo(&mends, "%s%s", mends.len == 0 ? "" : "\n", problem->mend);
	}
	if (details.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" cannot converge", RelationGetRelationName(relation)),
				 errdetail("%s", details.data),
				 errhint("%s", mends.data)));
}

/* Is the column there already, as in a restored dump? */
static bool
has_version_column(Oid id)
{
	AttrNumber	number = get_attnum(id, ROW_VERSION_COLUMN);

	if (number == InvalidAttrNumber)
		return false;
	if (get_atttype(id, number) != get_atttype(extension_relation(TOMBSTONE_TABLE), TOMBSTONE_VERSION))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("table \"%s\" has a column \"%s\" of another type", get_rel_name(id), ROW_VERSION_COLUMN),
				 errhint("Rename it.")));
	return true;
}

/* --- commands ------------------------------------------------------------ */

/* Nothing in them depends on the caller's settings. */
static int
begin_commands(void)
{
	int			nesting = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	return nesting;
}

static void
end_commands(int nesting)
{
	SPI_finish();
	AtEOXact_GUC(true, nesting);
}

static void
run(const char *command,...)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		arguments;
		int			needed;

		va_start(arguments, command);
		needed = appendStringInfoVA(&text, command, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	if (SPI_execute(text.data, false, 0) < 0)
		elog(ERROR, "could not execute: %s", text.data);
	CommandCounterIncrement();
}

/* Of the table, and those for TRUNCATE that each partition has. */
static void
drop_triggers(Oid id)
{
	ListCell   *cell;

	run("DROP TRIGGER IF EXISTS %s ON %s", MERGE_TRIGGER, name_of(id));
	foreach(cell, find_all_inheritors(id, AccessExclusiveLock, NULL))
		run("DROP TRIGGER IF EXISTS %s ON %s", TRUNCATE_TRIGGER, name_of(lfirst_oid(cell)));
}

static void
create_triggers(Oid id, Jsonb *declaration)
{
	char	   *name = name_of(id);
	ListCell   *cell;

	run("CREATE TRIGGER %s BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %s.merge_change(%s)",
		MERGE_TRIGGER, name, EXTENSION_SCHEMA_NAME,
		quote_literal_cstr(JsonbToCString(NULL, &declaration->root, VARSIZE(declaration))));
	run("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", name, MERGE_TRIGGER);
	foreach(cell, find_all_inheritors(id, AccessExclusiveLock, NULL))
	{
		char	   *table = name_of(lfirst_oid(cell));

		run("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s.refuse_truncate()",
			TRUNCATE_TRIGGER, table, EXTENSION_SCHEMA_NAME);
		run("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, TRUNCATE_TRIGGER);
	}
}

/* A merge function can't be dropped as long as a table is merged by it. */
static void
depend_on_functions(Oid table)
{
	Relation	relation = table_open(table, AccessShareLock);
	Trigger    *trigger = table_rules_trigger(relation);
	List	   *functions = table_rules_functions(table_rules(relation));
	ObjectAddress depender;
	ListCell   *cell;

	ObjectAddressSet(depender, TriggerRelationId, trigger->tgoid);
	foreach(cell, functions)
	{
		ObjectAddress function;

		ObjectAddressSet(function, ProcedureRelationId, lfirst_oid(cell));
		recordDependencyOn(&depender, &function, DEPENDENCY_NORMAL);
	}
	table_close(relation, NoLock);
}
