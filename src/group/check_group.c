/*-------------------------------------------------------------------------
 *
 * check_group.c
 *	  What is wrong with tables that several servers write, as seen here.
 *
 * Members of a group are clusters of their own, and so this is no matter of nodes:
 * a function in SQL looks at this database (group/group_findings.sql).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"

#include "core/extension.h"
#include "exec/check.h"
#include "group/check_group.h"

#define FINDINGS_QUERY "SELECT severity, subject, problem, mend FROM consistency.group_findings()"

static void check_group(CheckCluster *cluster);
static CheckSeverity severity_of(const char *name);

/* Only while the library is being preloaded. */
void
check_group_init(void)
{
	check_register(check_group);
}

static void
check_group(CheckCluster *cluster)
{
	MemoryContext context = CurrentMemoryContext;

	if (!extension_is_created())
		return;
	SPI_connect();
	if (SPI_execute(FINDINGS_QUERY, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at this database's group");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		char	   *severity = SPI_getvalue(row, desc, 1);

		check_report(cluster, severity_of(severity), cluster->here->name,
					 SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3),
					 SPI_getvalue(row, desc, 4));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

static CheckSeverity
severity_of(const char *name)
{
	return strcmp(name, "error") == 0 ? CHECK_ERROR :
		strcmp(name, "warning") == 0 ? CHECK_WARNING : CHECK_NOTICE;
}
