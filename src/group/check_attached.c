/*-------------------------------------------------------------------------
 *
 * check_attached.c
 *	  What keeps attached tables from converging, for consistency.check().
 *
 * That is what consistency.attach() would refuse, since somebody may have changed the
 * table afterwards; what has become of its triggers; and updates that apply has
 * skipped.  A table is known by its trigger, or by its column if the trigger has
 * gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "converge/attach_check.h"
#include "converge/conflict_counters.h"
#include "converge/table_rules.h"
#include "core/extension.h"
#include "exec/check.h"
#include "group/check_attached.h"

static void check_attached(CheckCluster *cluster);
static List *find_tables(void);
static void check_table(CheckCluster *cluster, Oid id);
static void check_triggers(CheckCluster *cluster, Relation relation, const char *name);
static void check_trigger(CheckCluster *cluster, Relation relation, const char *name, const char *trigger_name);
static const char *wrong_state(char enabled);
static void check_problems(CheckCluster *cluster, Relation relation, const char *name);
static void check_foreign_keys(CheckCluster *cluster, Relation relation, const char *name);
static void check_skipped(CheckCluster *cluster, Relation relation, const char *name);
static void report(CheckCluster *cluster, CheckSeverity severity, const char *table, const char *problem,
				   const char *mend);

/* Only while the library is being preloaded. */
void
check_attached_init(void)
{
	check_register(check_attached);
}

static void
check_attached(CheckCluster *cluster)
{
	ListCell   *cell;

	if (!extension_is_created())
		return;
	foreach(cell, find_tables())
		check_table(cluster, lfirst_oid(cell));
}

/* Tables with a version in each row. */
static List *
find_tables(void)
{
	Oid			tombstones = extension_relation("tombstones");
	Oid			type = get_atttype(tombstones, get_attnum(tombstones, "version"));
	Relation	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *found = NIL;

	ScanKeyInit(&key, Anum_pg_attribute_attname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(ROW_VERSION_COLUMN));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);
		char		kind = get_rel_relkind(form->attrelid);

		if (form->atttypid == type && (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE))
			found = lappend_oid(found, form->attrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static void
check_table(CheckCluster *cluster, Oid id)
{
	Relation	relation;
	const char *name;

	if (!ConditionalLockRelationOid(id, AccessShareLock))
	{
		report(cluster, CHECK_NOTICE, psprintf("table with OID %u", id),
			   "it is locked, and was not looked at",
			   "Call consistency.check() again when it isn't.");
		return;
	}
	relation = try_relation_open(id, NoLock);
	if (relation == NULL)
		return;
	name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
									  RelationGetRelationName(relation));
	check_triggers(cluster, relation, name);
	/* a partition is what its table is */
	if (!relation->rd_rel->relispartition && table_rules_trigger(relation) != NULL)
	{
		check_problems(cluster, relation, name);
		check_foreign_keys(cluster, relation, name);
	}
	check_skipped(cluster, relation, name);
	relation_close(relation, AccessShareLock);
}

/* --- triggers ------------------------------------------------------------ */

static void
check_triggers(CheckCluster *cluster, Relation relation, const char *name)
{
	if (table_rules_trigger(relation) == NULL)
	{
		report(cluster, CHECK_ERROR, name,
			   psprintf("it has a column \"%s\", but no trigger \"%s\": its rows are not merged",
						ROW_VERSION_COLUMN, MERGE_TRIGGER),
			   "Call consistency.attach() for it with the rules that it had, and then consistency.compare(), or drop the column.");
		return;
	}
	check_trigger(cluster, relation, name, MERGE_TRIGGER);
	check_trigger(cluster, relation, name, TRUNCATE_TRIGGER);
}

static void
check_trigger(CheckCluster *cluster, Relation relation, const char *name, const char *trigger_name)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, trigger_name) != 0)
			continue;
		if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			report(cluster, CHECK_ERROR, name,
				   psprintf("its trigger \"%s\" %s", trigger_name, wrong_state(trigger->tgenabled)),
				   psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s; then call consistency.compare().", name, trigger_name));
		return;
	}
	/* partitions are truncated by themselves, too */
	report(cluster, CHECK_ERROR, name, psprintf("its trigger \"%s\" is missing", trigger_name),
		   "Call consistency.attach() for it again, with the rules that it has.");
}

static const char *
wrong_state(char enabled)
{
	switch (enabled)
	{
		case TRIGGER_FIRES_ON_ORIGIN:
			return "does not fire for what replication brings, as after ENABLE TRIGGER ALL";
		case TRIGGER_FIRES_ON_REPLICA:
			return "does not fire for local changes";
		default:
			return "is disabled";
	}
}

/* --- the table ----------------------------------------------------------- */

/* What consistency.attach() refuses; what it can be told to accept holds under a condition. */
static void
check_problems(CheckCluster *cluster, Relation relation, const char *name)
{
	Trigger    *trigger = table_rules_trigger(relation);
	Jsonb	   *declaration = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(trigger->tgargs[0])));
	ListCell   *cell;

	foreach(cell, attach_check_table(relation, declaration))
	{
		const AttachProblem *problem = lfirst(cell);

		report(cluster, problem->kind ? CHECK_WARNING : CHECK_ERROR, name, problem->problem, problem->mend);
	}
}

/* What replication brings isn't checked by them, and fires no actions. */
static void
check_foreign_keys(CheckCluster *cluster, Relation relation, const char *name)
{
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(relation))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		report(cluster, CHECK_WARNING, name,
			   psprintf("foreign key \"%s\" is checked for local changes only: a row that is inserted at one member while the row that it refers to is deleted at another one stays without it",
						get_constraint_name(key->conoid)),
			   "Delete such rows by a job, or mark rows as deleted instead of deleting them.");
	}
}

static void
check_skipped(CheckCluster *cluster, Relation relation, const char *name)
{
	uint64		skipped = conflict_counters_skipped(RelationGetRelid(relation));

	if (skipped > 0)
		report(cluster, CHECK_WARNING, name,
			   psprintf(UINT64_FORMAT " replicated updates were skipped here since the last comparison: their rows were deleted here, or moved while apply was looking for them, and then they are lost", skipped),
			   "Call consistency.compare() for the table, and consistency.repair() if rows differ.");
}

static void
report(CheckCluster *cluster, CheckSeverity severity, const char *table, const char *problem, const char *mend)
{
	check_report(cluster, severity, cluster->here->name, table, problem, mend);
}
