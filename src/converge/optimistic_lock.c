/*-------------------------------------------------------------------------
 *
 * optimistic_lock.c
 *	  Updates that must carry the version of the row that they are based on.
 *
 * A client reads a row, lets a person think about it, and writes it back: what
 * others have written in between would be lost.  So the row has a version, a
 * number that each update raises by one, and an update that was made from
 * another version than the row has by now is refused.
 *
 * What a client writes there must say what it has read, without ambiguity: from
 * a 6 alone one can't tell who has read 6 and sends that back from who has read 5
 * and has raised it.  The one is right if the row is at 6, the other one has
 * missed a change.  So it is declared which of both clients do.
 *
 * An update that doesn't set the column carries nothing.  It is refused unless
 * it is declared that such updates pass, for those that ask for the version in
 * their WHERE, or say nothing but what depends on the row itself (n = n + 1).
 * Foreign keys' actions pass: they are no client's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "converge/guard_option.h"
#include "converge/row_store.h"

/* arguments of consistency.set_optimistic_lock() */
enum
{
	ARG_RELATION,
	ARG_VERSION_COLUMN,
	ARG_CLIENT_SENDS,
	ARG_UNVERSIONED
};

#define FIELD_VERSION_COLUMN	"version_column"
#define FIELD_CLIENT_SENDS		"client_sends"
#define FIELD_UNVERSIONED		"unversioned"

/* What a trigger says of its table */
typedef struct OptimisticLock
{
	AttrNumber	column;
	const char *column_name;
	Oid			type;			/* smallint, integer or bigint */
	bool		sends_next;		/* clients write the next version; else the
								 * one that they have read */
	bool		raise;			/* updates that don't set it pass; else they
								 * are refused */
} OptimisticLock;

static const GuardOption lock_option = {
	.what = "optimistic lock",
	.trigger = "zzy_consistency_version",
	.function = "consistency.guard_version",
	.events = "UPDATE",
	.set_function = "consistency.set_optimistic_lock",
	.drop_function = "consistency.drop_optimistic_lock"
};

static void check_version_column(Oid relid, const char *name);
static bool parse_sends(const char *text, bool *next);
static bool parse_unversioned(const char *text, bool *raise);
static OptimisticLock read_declaration(const TriggerData *trigdata);
static int64 version_of(const OptimisticLock *lock, const TriggerData *trigdata, HeapTuple row);
static bool is_set(const OptimisticLock *lock, const TriggerData *trigdata);
static HeapTuple with_version(const OptimisticLock *lock, const TriggerData *trigdata, int64 version);
static int64 largest_version(Oid type);
static void error_unversioned(const OptimisticLock *lock, const TriggerData *trigdata)
			pg_attribute_noreturn();
static void error_changed(const OptimisticLock *lock, const TriggerData *trigdata,
						  int64 has, int64 sent) pg_attribute_noreturn();

PG_FUNCTION_INFO_V1(consistency_set_optimistic_lock);
PG_FUNCTION_INFO_V1(consistency_drop_optimistic_lock);
PG_FUNCTION_INFO_V1(consistency_guard_version);

/*
 * consistency.set_optimistic_lock(relation regclass, version_column name,
 *								   client_sends text, unversioned text)
 */
Datum
consistency_set_optimistic_lock(PG_FUNCTION_ARGS)
{
	GuardOptionField fields[3] = {
		{FIELD_VERSION_COLUMN}, {FIELD_CLIENT_SENDS}, {FIELD_UNVERSIONED}
	};
	Oid			relid;
	bool		choice;

	PreventCommandIfReadOnly("consistency.set_optimistic_lock()");
	if (PG_ARGISNULL(ARG_RELATION) || PG_ARGISNULL(ARG_VERSION_COLUMN))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation and version_column must not be null")));
	fields[0].value = NameStr(*PG_GETARG_NAME(ARG_VERSION_COLUMN));
	fields[1].value = guard_option_text_argument(fcinfo, ARG_CLIENT_SENDS, "client_sends");
	if (!parse_sends(fields[1].value, &choice))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for client_sends: \"%s\"", fields[1].value),
				 errhint("Clients send the version that follows the one they have read (\"next\"), or that one itself (\"read\").")));
	fields[2].value = guard_option_text_argument(fcinfo, ARG_UNVERSIONED, "unversioned");
	if (!parse_unversioned(fields[2].value, &choice))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for unversioned: \"%s\"", fields[2].value),
				 errhint("An update that doesn't set the version can be refused (\"refuse\"), or pass and have it raised (\"raise\").")));

	relid = PG_GETARG_OID(ARG_RELATION);
	relation_close(guard_option_open(relid), NoLock);
	check_version_column(relid, fields[0].value);
	guard_option_set(&lock_option, relid, fields, lengthof(fields));
	PG_RETURN_VOID();
}

/*
 * consistency.drop_optimistic_lock(relation regclass)
 *		A notice if there is none.
 */
Datum
consistency_drop_optimistic_lock(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	PreventCommandIfReadOnly("consistency.drop_optimistic_lock()");
	relation_close(guard_option_open(relid), NoLock);
	if (!guard_option_drop(&lock_option, relid))
		ereport(NOTICE,
				(errmsg("table \"%s\" has no optimistic lock of its own, skipping",
						get_rel_name(relid))));
	PG_RETURN_VOID();
}

/* Can a column hold versions? */
static void
check_version_column(Oid relid, const char *name)
{
	Relation	relation = relation_open(relid, NoLock);
	AttrNumber	column = guard_option_column(relation, name);
	Oid			type = SPI_gettypeid(RelationGetDescr(relation), column);

	if (largest_version(type) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" is of type %s",
						name, RelationGetRelationName(relation), format_type_be(type)),
				 errhint("Versions go into a column of type bigint, integer or smallint.")));
	relation_close(relation, NoLock);
}

static bool
parse_sends(const char *text, bool *next)
{
	*next = strcmp(text, "next") == 0;
	return *next || strcmp(text, "read") == 0;
}

static bool
parse_unversioned(const char *text, bool *raise)
{
	*raise = strcmp(text, "raise") == 0;
	return *raise || strcmp(text, "refuse") == 0;
}

/* What a trigger's arguments say; an error if that isn't what can be kept. */
static OptimisticLock
read_declaration(const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	const char *sends = guard_option_field(trigdata->tg_trigger, FIELD_CLIENT_SENDS);
	const char *unversioned = guard_option_field(trigdata->tg_trigger, FIELD_UNVERSIONED);
	OptimisticLock lock = {
		.column_name = guard_option_field(trigdata->tg_trigger, FIELD_VERSION_COLUMN)
	};

	if (lock.column_name)
		lock.column = SPI_fnumber(desc, lock.column_name);
	if (lock.column > 0)
		lock.type = SPI_gettypeid(desc, lock.column);
	if (largest_version(lock.type) == 0 ||
		sends == NULL || !parse_sends(sends, &lock.sends_next) ||
		unversioned == NULL || !parse_unversioned(unversioned, &lock.raise))
		guard_option_damaged(&lock_option, trigdata);
	return lock;
}

/*
 * consistency.guard_version() returns trigger
 *		Lets an update pass that was made from the version which the row has, and
 *		gives the row the next one.
 */
Datum
consistency_guard_version(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = guard_option_trigdata(fcinfo, &lock_option);
	OptimisticLock lock = read_declaration(trigdata);
	int64		has;
	int64		sent;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		guard_option_damaged(&lock_option, trigdata);
	if (row_store_is_behind(trigdata))
		return PointerGetDatum(trigdata->tg_newtuple);	/* merged, not written */
	has = version_of(&lock, trigdata, trigdata->tg_trigtuple);
	sent = version_of(&lock, trigdata, trigdata->tg_newtuple);
	if (has == largest_version(lock.type))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("column \"%s\" of table \"%s\" cannot hold a higher version",
						lock.column_name, RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Give the column the type bigint.")));

	if (sent == has && !is_set(&lock, trigdata))
	{
		if (!lock.raise && !InNoForceRLSOperation())
			error_unversioned(&lock, trigdata);
		return PointerGetDatum(with_version(&lock, trigdata, has + 1));
	}
	if (sent != (lock.sends_next ? has + 1 : has))
		error_changed(&lock, trigdata, has, sent);
	return PointerGetDatum(lock.sends_next ? trigdata->tg_newtuple :
						   with_version(&lock, trigdata, has + 1));
}

static int64
version_of(const OptimisticLock *lock, const TriggerData *trigdata, HeapTuple row)
{
	bool		isnull;
	Datum		value = heap_getattr(row, lock->column, RelationGetDescr(trigdata->tg_relation),
									 &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" is null",
						lock->column_name, RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Send the version that was read.")));
	switch (lock->type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* Is the version among the columns that the statement sets? */
static bool
is_set(const OptimisticLock *lock, const TriggerData *trigdata)
{
	return bms_is_member(lock->column - FirstLowInvalidHeapAttributeNumber,
						 trigdata->tg_updatedcols);
}

/* The new row with another version. */
static HeapTuple
with_version(const OptimisticLock *lock, const TriggerData *trigdata, int64 version)
{
	int			column = lock->column;
	bool		isnull = false;
	Datum		value;

	if (lock->type == INT2OID)
		value = Int16GetDatum((int16) version);
	else if (lock->type == INT4OID)
		value = Int32GetDatum((int32) version);
	else
		value = Int64GetDatum(version);
	return heap_modify_tuple_by_cols(trigdata->tg_newtuple, RelationGetDescr(trigdata->tg_relation),
									 1, &column, &value, &isnull);
}

/* The largest number of a type; 0 if versions can't be of that type. */
static int64
largest_version(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return PG_INT16_MAX;
		case INT4OID:
			return PG_INT32_MAX;
		case INT8OID:
			return PG_INT64_MAX;
		default:
			return 0;
	}
}

static void
error_unversioned(const OptimisticLock *lock, const TriggerData *trigdata)
{
	const char *column = quote_identifier(lock->column_name);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("update of table \"%s\" does not say which version it is based on",
					RelationGetRelationName(trigdata->tg_relation)),
			 lock->sends_next ?
			 errhint("UPDATE ... SET ..., %s = %s + 1 WHERE ... AND %s = the version that was read.",
					 column, column, column) :
			 errhint("UPDATE ... SET ..., %s = the version that was read.", column),
			 errtable(trigdata->tg_relation)));
}

static void
error_changed(const OptimisticLock *lock, const TriggerData *trigdata, int64 has, int64 sent)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("row of table \"%s\" was changed since it was read",
					RelationGetRelationName(trigdata->tg_relation)),
			 lock->sends_next ?
			 errdetail("Its %s is " INT64_FORMAT ", and the update was to make it " INT64_FORMAT ".",
					   lock->column_name, has, sent) :
			 errdetail("Its %s is " INT64_FORMAT ", and the update is based on " INT64_FORMAT ".",
					   lock->column_name, has, sent),
			 errhint("Read the row again, and apply the change to what it is now."),
			 errtable(trigdata->tg_relation)));
}
