/*-------------------------------------------------------------------------
 *
 * check.c
 *	  consistency.check(): what undermines a promise in this cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/columns.h"
#include "core/guc.h"
#include "core/shmem.h"
#include "exec/check.h"

#define CHECK_COLUMNS 5
#define MAX_CHECKS 8

/* of later stages */
static check_fn checks[MAX_CHECKS];
static int	nchecks = 0;

static void judge(CheckCluster *cluster);
static void put_findings(ReturnSetInfo *rsinfo, const List *findings);
static void put_finding(ReturnSetInfo *rsinfo, const CheckFinding *finding);

PG_FUNCTION_INFO_V1(consistency_check);

/* What else is to be looked for.  Only while the library is being preloaded. */
void
check_register(check_fn check)
{
	if (nchecks >= MAX_CHECKS)
		elog(ERROR, "too many checks");
	checks[nchecks++] = check;
}

/*
 * consistency.check()
 *		Ask every node that this database declares, as the caller, and list
 *		what is wrong.  A node that can't be asked is a finding as well.
 */
Datum
consistency_check(PG_FUNCTION_ARGS)
{
	CheckCluster cluster = {0};

	InitMaterializedSRF(fcinfo, 0);
	judge(&cluster);
	put_findings((ReturnSetInfo *) fcinfo->resultinfo, cluster.findings);
	return (Datum) 0;
}

/* Without the library's own workings there is one finding. */
static void
judge(CheckCluster *cluster)
{
	if (!shmem_is_preloaded())
	{
		check_report(cluster, CHECK_ERROR, "(this server)", "shared_preload_libraries",
					 "the library isn't preloaded here: nothing is promised",
					 "Add \"consistency\" to shared_preload_libraries and restart the server.");
		return;
	}

	cluster->role = GetUserNameFromId(GetUserId(), false);
	cluster->monitor_role = guc_monitor_role;
	cluster->database = get_database_name(MyDatabaseId);
	check_collect(cluster);
	check_cluster(cluster);
	for (int i = 0; i < nchecks; i++)
		checks[i] (cluster);
}

/* Show the findings, the worst first. */
static void
put_findings(ReturnSetInfo *rsinfo, const List *findings)
{
	for (CheckSeverity severity = CHECK_ERROR; severity <= CHECK_NOTICE; severity++)
	{
		ListCell   *cell;

		foreach(cell, findings)
		{
			const CheckFinding *finding = lfirst(cell);

			if (finding->severity == severity)
				put_finding(rsinfo, finding);
		}
	}
}

static void
put_finding(ReturnSetInfo *rsinfo, const CheckFinding *finding)
{
	static const char *const severity_names[] = {"error", "warning", "notice"};
	Datum		values[CHECK_COLUMNS] = {0};
	bool		nulls[CHECK_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(severity_names[finding->severity]);
	column_put_text(values, nulls, 1, finding->node);
	values[2] = CStringGetTextDatum(finding->subject);
	values[3] = CStringGetTextDatum(finding->problem);
	values[4] = CStringGetTextDatum(finding->mend);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
