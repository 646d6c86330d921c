/*-------------------------------------------------------------------------
 *
 * group_report.c
 *	  What members tell each other comes in by replication.
 *
 * A row of consistency.group_reports is written by one member only, and has a
 * stamp that grows: the higher one holds.  Rows come from several members, since
 * each passes on what it gets; what is known already is dropped, which ends that.
 *
 * Two apply workers may bring the same new row at a time.  A lock lets one of them
 * wait until it can see what the other one has done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "group/group.h"

/* columns of consistency.group_reports */
enum
{
	COLUMN_GROUP = 1,
	COLUMN_ABOUT,
	COLUMN_BY,
	COLUMN_STAMP
};

static int64 stamp_of(Relation relation, HeapTuple row);
static bool replace_older(Relation relation, HeapTuple row);

PG_FUNCTION_INFO_V1(consistency_merge_report);

/* consistency.merge_report(), a trigger */
Datum
consistency_merge_report(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("consistency.merge_report() must be called as a trigger before rows change")));

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		if (stamp_of(trigger->tg_relation, trigger->tg_newtuple) <=
			stamp_of(trigger->tg_relation, trigger->tg_trigtuple))
			PG_RETURN_POINTER(NULL);
		PG_RETURN_POINTER(trigger->tg_newtuple);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		!replace_older(trigger->tg_relation, trigger->tg_trigtuple))
		PG_RETURN_POINTER(NULL);
	PG_RETURN_POINTER(trigger->tg_trigtuple);
}

static int64
stamp_of(Relation relation, HeapTuple row)
{
	bool		isnull;
	Datum		stamp = heap_getattr(row, COLUMN_STAMP, RelationGetDescr(relation), &isnull);

	return isnull ? 0 : DatumGetInt64(stamp);
}

/* Make place for a row.  False if the one that is there is as new. */
static bool
replace_older(Relation relation, HeapTuple row)
{
	Oid			types[COLUMN_STAMP] = {TEXTOID, TEXTOID, TEXTOID, INT8OID};
	Datum		values[COLUMN_STAMP];
	bool		newer;

	for (int i = 0; i < COLUMN_STAMP; i++)
	{
		bool		isnull;

		values[i] = heap_getattr(row, i + 1, RelationGetDescr(relation), &isnull);
		if (isnull)
			return true;		/* that will be refused */
	}
	LockDatabaseObject(RelationRelationId, RelationGetRelid(relation), 0, ExclusiveLock);

	/* Deletes aren't published: others see an insert as we have seen it. */
	SPI_connect();
	if (SPI_execute_with_args("DELETE FROM consistency.group_reports"
							  " WHERE group_name OPERATOR(pg_catalog.=) $1 AND about OPERATOR(pg_catalog.=) $2"
							  " AND by OPERATOR(pg_catalog.=) $3 AND stamp OPERATOR(pg_catalog.<) $4",
							  COLUMN_STAMP, types, values, NULL, false, 0) != SPI_OK_DELETE ||
		SPI_execute_with_args("SELECT FROM consistency.group_reports"
							  " WHERE group_name OPERATOR(pg_catalog.=) $1 AND about OPERATOR(pg_catalog.=) $2"
							  " AND by OPERATOR(pg_catalog.=) $3",
							  COLUMN_STAMP, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for an older report");
	newer = SPI_processed == 0;
	SPI_finish();
	return newer;
}
