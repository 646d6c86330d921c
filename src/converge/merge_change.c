/*-------------------------------------------------------------------------
 *
 * merge_change.c
 *	  The triggers of attached tables.
 *
 * What is changed here gets what merging needs; what replication brings is merged.
 * Which it is says session_replication_role, as it does for all triggers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "converge/local_change.h"
#include "converge/replicated_change.h"
#include "converge/row_store.h"
#include "converge/tombstone.h"

static TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *name);
static HeapTuple change(TriggerData *trigger);
static HeapTuple proposed(const TriggerData *trigger);

PG_FUNCTION_INFO_V1(consistency_merge_change);
PG_FUNCTION_INFO_V1(consistency_refuse_truncate);
PG_FUNCTION_INFO_V1(consistency_receive_tombstone);

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s can only be called as a trigger", name)));
	return (TriggerData *) fcinfo->context;
}

/* consistency.merge_change(), a trigger before each row is inserted, updated or deleted */
Datum
consistency_merge_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "consistency.merge_change()");

	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		strcmp(trigger->tg_trigger->tgname, MERGE_TRIGGER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("consistency.merge_change() can only be called as the trigger that consistency.attach() creates")));
	/* What we write ourselves is as it should be. */
	if (row_store_is_behind(trigger))
		return PointerGetDatum(proposed(trigger));
	return PointerGetDatum(change(trigger));
}

static HeapTuple
change(TriggerData *trigger)
{
	Relation	relation = trigger->tg_relation;
	TableRules *rules = table_rules(relation);
	bool		replicated = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
	ReplicatedOutcome outcome;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return replicated ? replicated_insert(relation, rules, trigger->tg_trigtuple, &outcome)
			: local_insert(relation, rules, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return replicated ? replicated_update(relation, rules, trigger->tg_trigtuple, trigger->tg_newtuple)
			: local_update(relation, rules, trigger->tg_trigtuple, trigger->tg_newtuple);
	if (!replicated)
		local_delete(relation, rules, trigger->tg_trigtuple);
	/* Deletions travel as tombstones; a publication that sends them is wrong. */
	else if (IsLogicalWorker())
		return NULL;
	return trigger->tg_trigtuple;
}

static HeapTuple
proposed(const TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
}

/* consistency.refuse_truncate(), a trigger before TRUNCATE */
Datum
consistency_refuse_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "consistency.refuse_truncate()");

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot truncate attached table \"%s\"", RelationGetRelationName(trigger->tg_relation)),
			 errdetail("Other members would not learn of it."),
			 errhint("Use DELETE, or call consistency.detach() at all members first.")));
	PG_RETURN_NULL();
}

/* consistency.receive_tombstone(), a trigger before replication changes consistency.tombstones */
Datum
consistency_receive_tombstone(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "consistency.receive_tombstone()");
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	tuple = proposed(trigger);
	Datum		values[TOMBSTONE_COLUMNS];
	bool		nulls[TOMBSTONE_COLUMNS];
	char	   *key;
	struct varlena *version;
	Jsonb	   *image;

	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return PointerGetDatum(IsLogicalWorker() ? NULL : tuple);
	heap_deform_tuple(tuple, desc, values, nulls);
	key = TextDatumGetCString(values[TOMBSTONE_KEY - 1]);
	version = PG_DETOAST_DATUM(values[TOMBSTONE_VERSION - 1]);
	image = nulls[TOMBSTONE_IMAGE - 1] ? NULL : DatumGetJsonbP(values[TOMBSTONE_IMAGE - 1]);
	if (!replicated_tombstone(TextDatumGetCString(values[TOMBSTONE_RELATION - 1]), &key, &version, &image))
		return PointerGetDatum(NULL);
	values[TOMBSTONE_KEY - 1] = CStringGetTextDatum(key);
	values[TOMBSTONE_VERSION - 1] = PointerGetDatum(version);
	values[TOMBSTONE_IMAGE - 1] = PointerGetDatum(image);
	nulls[TOMBSTONE_IMAGE - 1] = image == NULL;
	return PointerGetDatum(heap_form_tuple(desc, values, nulls));
}
