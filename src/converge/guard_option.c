/*-------------------------------------------------------------------------
 *
 * guard_option.c
 *	  Options of tables that a trigger keeps, and is.
 *
 * Row triggers of a partitioned table are its partitions' as well, later ones
 * included.  Statement triggers aren't, so each partition gets one against
 * TRUNCATE of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "converge/guard_option.h"
#include "core/compat.h"

/* what may sort behind our row triggers: they don't change what ours have seen */
#define OUR_PREFIX_ROW "zzy_consistency_"
#define OUR_PREFIX_MERGE "zzz_consistency_"

static void check_kind(Relation relation);
static void check_descendants(const GuardOption *option, Oid relid);
static void check_order(const GuardOption *option, Oid relid);
static bool has_trigger(Oid relid, const char *name, Oid *parent);
static char *argument_list(const GuardOptionField *fields, int nfields);
static void drop_trigger(Oid relid, const char *name);
static void run(const char *sql);

PG_FUNCTION_INFO_V1(consistency_trigger_declaration);

/*
 * guard_option_open
 *		Open a table to set or drop an option; an error if the current role isn't
 *		its owner, or it can't have any.
 */
Relation
guard_option_open(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	Relation	relation;

	if (relkind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	/* before a lock is taken that others would wait for */
	if (!COMPAT_OWNS_RELATION(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), get_rel_name(relid));
	relation = relation_open(relid, ShareRowExclusiveLock);
	check_kind(relation);
	return relation;
}

static void
check_kind(Relation relation)
{
	char		kind = relation->rd_rel->relkind;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(relation)),
				 errhint("Name a table, a partitioned table or a partition.")));
	if (RelationGetRelid(relation) < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a system catalog", RelationGetRelationName(relation)),
				 errhint("Name a table of your own.")));
	if (relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is temporary or unlogged", RelationGetRelationName(relation)),
				 errhint("Only tables that are replicated need protection.")));
	if (kind == RELKIND_RELATION &&
		find_inheritance_children(RelationGetRelid(relation), NoLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("other tables inherit from table \"%s\"", RelationGetRelationName(relation)),
				 errdetail("Their rows would not be protected."),
				 errhint("Use partitions, or protect the inheriting tables instead.")));
}

/*
 * guard_option_set
 *		Make the triggers, in place of those that there are.
 */
void
guard_option_set(const GuardOption *option, Oid relid,
				 const GuardOptionField *fields, int nfields)
{
	char	   *arguments = argument_list(fields, nfields);
	ListCell   *cell;

	check_descendants(option, relid);
	check_order(option, relid);
	(void) guard_option_drop(option, relid);
	run(psprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION %s(%s)",
				 option->trigger, option->events, guard_option_relation_name(relid),
				 option->function, arguments));
	if (option->truncate_trigger == NULL)
		return;
	foreach(cell, find_all_inheritors(relid, ShareRowExclusiveLock, NULL))
		run(psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)",
					 option->truncate_trigger, guard_option_relation_name(lfirst_oid(cell)),
					 option->function, arguments));
}

/*
 * guard_option_drop
 *		Drop the triggers.  False if the table has none of its own.
 */
bool
guard_option_drop(const GuardOption *option, Oid relid)
{
	Oid			parent;
	ListCell   *cell;

	if (!has_trigger(relid, option->trigger, &parent))
		return false;
	if (OidIsValid(parent))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the %s of partition \"%s\" is that of its partitioned table",
						option->what, get_rel_name(relid)),
				 errhint("Call %s() for the partitioned table.", option->drop_function)));
	drop_trigger(relid, option->trigger);
	if (option->truncate_trigger == NULL)
		return true;
	foreach(cell, find_all_inheritors(relid, ShareRowExclusiveLock, NULL))
	{
		if (has_trigger(lfirst_oid(cell), option->truncate_trigger, &parent))
			drop_trigger(lfirst_oid(cell), option->truncate_trigger);
	}
	return true;
}

/*
 * guard_option_field
 *		The value of a field; NULL if the trigger's arguments have none.
 */
const char *
guard_option_field(const Trigger *trigger, const char *name)
{
	for (int i = 0; i + 1 < trigger->tgnargs; i += 2)
	{
		if (strcmp(trigger->tgargs[i], name) == 0)
			return trigger->tgargs[i + 1];
	}
	return NULL;
}

/* What a trigger says can't be kept. */
void
guard_option_damaged(const GuardOption *option, const TriggerData *trigdata)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("trigger \"%s\" of table \"%s\" does not fit the table",
					trigdata->tg_trigger->tgname, RelationGetRelationName(trigdata->tg_relation)),
			 errdetail("A column was renamed, dropped or given another type since, or the trigger was not made by %s().",
					   option->set_function),
			 errhint("Call %s() again.", option->set_function),
			 errtable(trigdata->tg_relation)));
}

/* What a trigger function of ours was called with; an error if it wasn't as it should be. */
TriggerData *
guard_option_trigdata(FunctionCallInfo fcinfo, const GuardOption *option)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() is for triggers only", option->function),
				 errhint("Call %s() instead.", option->set_function)));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) == TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		guard_option_damaged(option, trigdata);
	return trigdata;
}

/* Qualified and quoted. */
char *
guard_option_relation_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* A text argument, which must not be null. */
char *
guard_option_text_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * guard_option_column
 *		A column that a trigger is to look at: it must have a value whenever the
 *		trigger fires, and in each row.
 */
AttrNumber
guard_option_column(Relation relation, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(relation), name);
	Form_pg_attribute attribute;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						name, RelationGetRelationName(relation)),
				 errhint("Name the column as the catalog has it, without quotes.")));
	attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
	if (attribute->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"%s\" of table \"%s\" is generated",
						name, RelationGetRelationName(relation)),
				 errhint("Name a column that is written.")));
	if (!attribute->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"%s\" of table \"%s\" can be null",
						name, RelationGetRelationName(relation)),
				 errhint("Give all rows a value, then ALTER TABLE %s ALTER COLUMN %s SET NOT NULL.",
						 guard_option_relation_name(RelationGetRelid(relation)),
						 quote_identifier(name))));
	return attnum;
}

/* A partition of it may have the option by itself already. */
static void
check_descendants(const GuardOption *option, Oid relid)
{
	List	   *relids = find_all_inheritors(relid, ShareRowExclusiveLock, NULL);
	ListCell   *cell;
	Oid			parent;

	for_each_from(cell, relids, 1)
	{
		if (has_trigger(lfirst_oid(cell), option->trigger, &parent) && !OidIsValid(parent))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("partition \"%s\" has an %s of its own",
							get_rel_name(lfirst_oid(cell)), option->what),
					 errhint("Call %s() for the partition, or have it for partitions only.",
							 option->drop_function)));
	}
}

/* What changes rows after our trigger has let them pass undoes it. */
static void
check_order(const GuardOption *option, Oid relid)
{
	Relation	relation = relation_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			strcmp(trigger->tgname, option->trigger) > 0 &&
			strncmp(trigger->tgname, OUR_PREFIX_ROW, strlen(OUR_PREFIX_ROW)) != 0 &&
			strncmp(trigger->tgname, OUR_PREFIX_MERGE, strlen(OUR_PREFIX_MERGE)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("trigger \"%s\" of table \"%s\" would fire after \"%s\"",
							trigger->tgname, RelationGetRelationName(relation), option->trigger),
					 errdetail("BEFORE triggers fire in the order of their names, and it could change what was checked."),
					 errhint("Rename it with ALTER TRIGGER %s ON %s RENAME TO a name that sorts earlier.",
							 quote_identifier(trigger->tgname), guard_option_relation_name(relid))));
	}
	relation_close(relation, NoLock);
}

/* Has the table a trigger of that name; of which trigger of a parent's is it a part? */
static bool
has_trigger(Oid relid, const char *name, Oid *parent)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		*parent = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static char *
argument_list(const GuardOptionField *fields, int nfields)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < nfields; i++)
	{
		if (fields[i].value)
			appendStringInfo(&list, "%s%s, %s", list.len > 0 ? ", " : "",
							 quote_literal_cstr(fields[i].name),
							 quote_literal_cstr(fields[i].value));
	}
	return list.data;
}

static void
drop_trigger(Oid relid, const char *name)
{
	run(psprintf("DROP TRIGGER %s ON %s", name, guard_option_relation_name(relid)));
}

static void
run(const char *sql)
{
	SPI_connect();
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run: %s", sql);
	SPI_finish();
}

/*
 * consistency.trigger_declaration(trigger oid) returns jsonb
 *		The arguments of a trigger, name and value by turns; NULL if they aren't
 *		that, or there is no such trigger.
 */
Datum
consistency_trigger_declaration(PG_FUNCTION_ARGS)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Datum	   *texts = NULL;
	int			ntexts = 0;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(PG_GETARG_OID(0)));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_trigger_tgargs,
										 RelationGetDescr(catalog), &isnull);
		const char *text = isnull ? "" : VARDATA_ANY(DatumGetByteaPP(value));

		/* each ends with a zero */
		ntexts = ((Form_pg_trigger) GETSTRUCT(tuple))->tgnargs;
		texts = palloc(sizeof(Datum) * (ntexts + 1));
		for (int i = 0; i < ntexts; i++)
		{
			texts[i] = CStringGetTextDatum(text);
			text	  +=strlen(text) + 1;
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (texts == NULL || ntexts == 0 || ntexts % 2 != 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_object,
										PointerGetDatum(construct_array(texts, ntexts, TEXTOID, -1,
																		false, TYPALIGN_INT))));
}
