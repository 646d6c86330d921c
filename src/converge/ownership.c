/*-------------------------------------------------------------------------
 *
 * ownership.c
 *	  Rows and tables that one member alone may write.
 *
 * An alternative to conflicts: where only one member writes a row, there are
 * none.  Who that is says either a column of the row, or the declaration for all
 * of a table or partition.
 *
 * A row is handed over by its owner, in a change like any other: from then on it
 * refuses further ones, and the new owner begins when the change has arrived
 * there.  So there are never two owners at a time, and in between there is none.
 *
 * The trigger fires for what is written here, not for what replication brings:
 * that was checked where it came from.  Nothing here keeps two members from
 * inserting rows of the same key, each one its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "converge/guard_option.h"
#include "converge/member.h"
#include "converge/owner_forward.h"
#include "converge/ownership.h"
#include "converge/row_store.h"
#include "core/compat.h"
#include "core/errors.h"
#include "core/guc.h"

/* arguments of consistency.set_ownership() */
enum
{
	ARG_RELATION,
	ARG_OWNER_COLUMN,
	ARG_OWNER,
	ARG_ELSEWHERE
};

#define FIELD_OWNER_COLUMN	"owner_column"
#define FIELD_OWNER			"owner"
#define FIELD_ELSEWHERE		"elsewhere"

static const GuardOption ownership_option = {
	.what = "ownership",
	.trigger = "zzy_consistency_owner",
	.truncate_trigger = "zzy_consistency_owner_truncate",
	.function = "consistency.guard_owner",
	.events = "INSERT OR UPDATE OR DELETE",
	.set_function = "consistency.set_ownership",
	.drop_function = "consistency.drop_ownership"
};

static void check_owner_column(Oid relid, const char *name);
static bool is_name_type(Oid type);
static Ownership read_declaration(const TriggerData *trigdata);
static bool parse_elsewhere(const char *text, bool *forward);
static HeapTuple guard_insert(const Ownership *ownership, TriggerData *trigdata);
static HeapTuple guard_update(const Ownership *ownership, TriggerData *trigdata);
static HeapTuple guard_delete(const Ownership *ownership, TriggerData *trigdata);
static void guard_truncate(const Ownership *ownership, const TriggerData *trigdata);
static char *owner_of(const Ownership *ownership, const TriggerData *trigdata, HeapTuple row);
static HeapTuple take(const Ownership *ownership, const TriggerData *trigdata, HeapTuple row);
static bool is_own(const char *owner);
static HeapTuple write_elsewhere(const Ownership *ownership, TriggerData *trigdata,
								 const char *owner);

/*
 * A row that is being handed over, perhaps into another partition: the executor
 * has its UPDATE pass, then deletes it, then inserts it there.
 */
typedef struct HandOver
{
	LocalTransactionId transaction; /* the rest is valid in this one, */
	SubTransactionId subtransaction;	/* and this part of it */
	Oid			partition;
	ItemPointerData row;
	bool		deleted;		/* what comes next is its insertion, */
	Oid			root;			/* into this table, */
	char		heir[NAMEDATALEN];	/* for this member */
} HandOver;

static HandOver hand_over;

static void hand_over_begin(const TriggerData *trigdata, const char *heir);
static bool hand_over_is_under_way(void);
static void hand_over_delete(const TriggerData *trigdata);
static bool hand_over_insert(const TriggerData *trigdata, const char *owner);
static Oid	root_of(Relation relation);

PG_FUNCTION_INFO_V1(consistency_set_ownership);
PG_FUNCTION_INFO_V1(consistency_drop_ownership);
PG_FUNCTION_INFO_V1(consistency_guard_owner);

/*
 * consistency.set_ownership(relation regclass, owner_column name, owner text,
 *							 elsewhere text)
 */
Datum
consistency_set_ownership(PG_FUNCTION_ARGS)
{
	GuardOptionField fields[3] = {
		{FIELD_OWNER_COLUMN}, {FIELD_OWNER}, {FIELD_ELSEWHERE}
	};
	Oid			relid;
	Relation	relation;
	bool		forward;

	PreventCommandIfReadOnly("consistency.set_ownership()");
	if (PG_ARGISNULL(ARG_RELATION))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null")));
	if (PG_ARGISNULL(ARG_OWNER_COLUMN) == PG_ARGISNULL(ARG_OWNER))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("one of owner_column and owner must be given, and not both"),
				 errhint("Say owner_column => the column that names each row's owner, or owner => the member that owns the whole table.")));
	fields[2].value = guard_option_text_argument(fcinfo, ARG_ELSEWHERE, "elsewhere");
	if (!parse_elsewhere(fields[2].value, &forward))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for elsewhere: \"%s\"", fields[2].value),
				 errhint("A write elsewhere can be refused (\"refuse\") or sent to the owner (\"forward\").")));

	relid = PG_GETARG_OID(ARG_RELATION);
	relation = guard_option_open(relid);
	if (forward)
		owner_forward_check(relation);
	relation_close(relation, NoLock);
	if (!PG_ARGISNULL(ARG_OWNER_COLUMN))
	{
		fields[0].value = NameStr(*PG_GETARG_NAME(ARG_OWNER_COLUMN));
		member_require_name();
		check_owner_column(relid, fields[0].value);
	}
	else
	{
		fields[1].value = guard_option_text_argument(fcinfo, ARG_OWNER, "owner");
		member_require_known(fields[1].value);
	}
	guard_option_set(&ownership_option, relid, fields, lengthof(fields));
	PG_RETURN_VOID();
}

/*
 * consistency.drop_ownership(relation regclass)
 *		A notice if there is none.
 */
Datum
consistency_drop_ownership(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	PreventCommandIfReadOnly("consistency.drop_ownership()");
	relation_close(guard_option_open(relid), NoLock);
	if (!guard_option_drop(&ownership_option, relid))
		ereport(NOTICE,
				(errmsg("table \"%s\" has no ownership of its own, skipping",
						get_rel_name(relid))));
	PG_RETURN_VOID();
}

/* Can a column name the owners of rows? */
static void
check_owner_column(Oid relid, const char *name)
{
	Relation	relation = relation_open(relid, NoLock);
	AttrNumber	column = guard_option_column(relation, name);
	Oid			type = SPI_gettypeid(RelationGetDescr(relation), column);

	if (!is_name_type(getBaseType(type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" is of type %s",
						name, RelationGetRelationName(relation), format_type_be(type)),
				 errhint("Names of members go into a column of type text, varchar or name.")));
	relation_close(relation, NoLock);
}

static bool
is_name_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == NAMEOID;
}

/*
 * ownership_guards
 *		Is it checked who writes a table's rows?  Not where replication is played.
 */
bool
ownership_guards(Relation relation)
{
	const TriggerDesc *triggers = relation->trigdesc;

	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return false;
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, ownership_option.trigger) == 0 &&
			trigger->tgenabled != TRIGGER_DISABLED)
			return true;
	}
	return false;
}

/* What a trigger's arguments say; an error if that isn't what can be kept. */
static Ownership
read_declaration(const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	const char *elsewhere = guard_option_field(trigdata->tg_trigger, FIELD_ELSEWHERE);
	Ownership	ownership = {
		.column_name = guard_option_field(trigdata->tg_trigger, FIELD_OWNER_COLUMN),
		.owner = guard_option_field(trigdata->tg_trigger, FIELD_OWNER),
	};

	if ((ownership.column_name == NULL) == (ownership.owner == NULL) ||
		elsewhere == NULL || !parse_elsewhere(elsewhere, &ownership.forward))
		guard_option_damaged(&ownership_option, trigdata);
	if (ownership.column_name == NULL)
		return ownership;

	/* -9: no such column; others below 0: the system's */
	ownership.column = Max(SPI_fnumber(desc, ownership.column_name), 0);
	if (ownership.column > 0)
		ownership.column_type = getBaseType(SPI_gettypeid(desc, ownership.column));
	if (!is_name_type(ownership.column_type))
		guard_option_damaged(&ownership_option, trigdata);
	return ownership;
}

static bool
parse_elsewhere(const char *text, bool *forward)
{
	*forward = strcmp(text, "forward") == 0;
	return *forward || strcmp(text, "refuse") == 0;
}

/*
 * consistency.guard_owner() returns trigger
 *		Lets pass what this member may write.
 */
Datum
consistency_guard_owner(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = guard_option_trigdata(fcinfo, &ownership_option);
	Ownership	ownership = read_declaration(trigdata);

	/* what is merged was checked where it came from */
	if (row_store_is_behind(trigdata))
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
							   trigdata->tg_newtuple : trigdata->tg_trigtuple);
	member_require_name();
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		return PointerGetDatum(guard_insert(&ownership, trigdata));
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return PointerGetDatum(guard_update(&ownership, trigdata));
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return PointerGetDatum(guard_delete(&ownership, trigdata));
	guard_truncate(&ownership, trigdata);
	return PointerGetDatum(NULL);
}

/* A row that doesn't say whose it is is this member's. */
static HeapTuple
guard_insert(const Ownership *ownership, TriggerData *trigdata)
{
	HeapTuple	row = trigdata->tg_trigtuple;
	char	   *owner = owner_of(ownership, trigdata, row);

	if (owner == NULL)
		return take(ownership, trigdata, row);
	if (is_own(owner) || hand_over_insert(trigdata, owner))
		return row;
	member_require_known(owner);
	return write_elsewhere(ownership, trigdata, owner);
}

/* The owner may hand a row over, to a member that is known. */
static HeapTuple
guard_update(const Ownership *ownership, TriggerData *trigdata)
{
	char	   *owner = owner_of(ownership, trigdata, trigdata->tg_trigtuple);
	char	   *heir;

	hand_over.transaction = InvalidLocalTransactionId;
	if (owner == NULL || !is_own(owner))
		return write_elsewhere(ownership, trigdata, owner);
	heir = owner_of(ownership, trigdata, trigdata->tg_newtuple);
	if (heir && !is_own(heir))
	{
		member_require_known(heir);
		hand_over_begin(trigdata, heir);
	}
	return trigdata->tg_newtuple;
}

static HeapTuple
guard_delete(const Ownership *ownership, TriggerData *trigdata)
{
	char	   *owner = owner_of(ownership, trigdata, trigdata->tg_trigtuple);

	if (owner == NULL || !is_own(owner))
		return write_elsewhere(ownership, trigdata, owner);
	hand_over_delete(trigdata);
	return trigdata->tg_trigtuple;
}

/* This member may update a row, and gives it away with that. */
static void
hand_over_begin(const TriggerData *trigdata, const char *heir)
{
	hand_over.transaction = COMPAT_MY_LXID;
	hand_over.subtransaction = GetCurrentSubTransactionId();
	hand_over.partition = RelationGetRelid(trigdata->tg_relation);
	hand_over.row = trigdata->tg_trigtuple->t_self;
	hand_over.deleted = false;
	strlcpy(hand_over.heir, heir, NAMEDATALEN);
}

/* One that was rolled back to a savepoint isn't. */
static bool
hand_over_is_under_way(void)
{
	return hand_over.transaction == COMPAT_MY_LXID &&
		hand_over.subtransaction == GetCurrentSubTransactionId();
}

/* A row is deleted: because it moves? */
static void
hand_over_delete(const TriggerData *trigdata)
{
	hand_over.deleted = hand_over_is_under_way() &&
		hand_over.partition == RelationGetRelid(trigdata->tg_relation) &&
		ItemPointerEquals(&hand_over.row, &trigdata->tg_trigtuple->t_self);
	if (hand_over.deleted)
		hand_over.root = root_of(trigdata->tg_relation);
}

/* Is a row inserted that has moved to the partition of its new owner? */
static bool
hand_over_insert(const TriggerData *trigdata, const char *owner)
{
	bool		moves = hand_over_is_under_way() && hand_over.deleted &&
	strcmp(hand_over.heir, owner) == 0 && hand_over.root == root_of(trigdata->tg_relation);

	hand_over.transaction = InvalidLocalTransactionId;
	return moves;
}

/* The table that it is a partition of. */
static Oid
root_of(Relation relation)
{
	Oid			relid = RelationGetRelid(relation);

	return relation->rd_rel->relispartition ? llast_oid(get_partition_ancestors(relid)) : relid;
}

/* A table can be emptied by who owns all of it. */
static void
guard_truncate(const Ownership *ownership, const TriggerData *trigdata)
{
	if (ownership->owner && is_own(ownership->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OTHER_OWNER),
			 errmsg("table \"%s\" cannot be truncated at member \"%s\"",
					RelationGetRelationName(trigdata->tg_relation), member_name()),
			 ownership->owner ?
			 errdetail("It belongs to member \"%s\".", ownership->owner) :
			 errdetail("Its rows can belong to several members."),
			 ownership->owner ?
			 errhint("Truncate it at member \"%s\".", ownership->owner) :
			 errhint("DELETE the rows whose column \"%s\" is '%s'.",
					 ownership->column_name, member_name()),
			 errtable(trigdata->tg_relation)));
}

/* Whose is a row?  NULL: nobody's. */
static char *
owner_of(const Ownership *ownership, const TriggerData *trigdata, HeapTuple row)
{
	bool		isnull;
	Datum		value;

	if (ownership->owner)
		return unconstify(char *, ownership->owner);
	value = heap_getattr(row, ownership->column, RelationGetDescr(trigdata->tg_relation), &isnull);
	if (isnull)
		return NULL;
	return ownership->column_type == NAMEOID ?
		NameStr(*DatumGetName(value)) : TextDatumGetCString(value);
}

/* The row with this member as its owner. */
static HeapTuple
take(const Ownership *ownership, const TriggerData *trigdata, HeapTuple row)
{
	int			column = ownership->column;
	bool		isnull = false;
	Datum		value;

	if (ownership->column_type == NAMEOID)
		value = DirectFunctionCall1(namein, CStringGetDatum(member_name()));
	else
		value = CStringGetTextDatum(member_name());
	return heap_modify_tuple_by_cols(row, RelationGetDescr(trigdata->tg_relation), 1,
									 &column, &value, &isnull);
}

static bool
is_own(const char *owner)
{
	return strcmp(owner, member_name()) == 0;
}

/*
 * This member may not write the row.  "owner" may be NULL, where a row has become
 * nobody's.
 */
static HeapTuple
write_elsewhere(const Ownership *ownership, TriggerData *trigdata, const char *owner)
{
	const char *table = RelationGetRelationName(trigdata->tg_relation);

	if (owner && ownership->forward && guc_write_forwarding)
	{
		owner_forward_row(trigdata, owner);
		return NULL;			/* nothing changes here yet */
	}
	if (owner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OTHER_OWNER),
				 errmsg("row of table \"%s\" belongs to no member", table),
				 errhint("Give column \"%s\" a value while trigger \"%s\" is disabled, and declare it NOT NULL.",
						 ownership->column_name, ownership_option.trigger),
				 errtable(trigdata->tg_relation)));
	ereport(ERROR,
			(errcode(ERRCODE_OTHER_OWNER),
			 ownership->owner ?
			 errmsg("table \"%s\" belongs to member \"%s\"", table, owner) :
			 errmsg("row of table \"%s\" belongs to member \"%s\"", table, owner),
			 errdetail("This is member \"%s\".", member_name()),
			 ownership->owner ?
			 errhint("Write it at member \"%s\".", owner) :
			 errhint("Write it at member \"%s\", which can also hand it over by an UPDATE of column \"%s\".",
					 owner, ownership->column_name),
			 errtable(trigdata->tg_relation)));
}
