/*-------------------------------------------------------------------------
 *
 * stat_reset.c
 *	  consistency.stat_reset().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/errors.h"
#include "core/violations.h"
#include "node/node_state.h"
#include "stats/policy_stats.h"
#include "stats/read_stats.h"
#include "stats/stat_reset.h"

#define MAX_RESETS 8

/* of later stages */
static stat_reset_fn resets[MAX_RESETS];
static int	nresets = 0;

PG_FUNCTION_INFO_V1(consistency_stat_reset);

/* What else is to be called.  Only while the library is being preloaded. */
void
stat_reset_register(stat_reset_fn reset)
{
	if (nresets >= MAX_RESETS)
		elog(ERROR, "too many counters to be reset");
	resets[nresets++] = reset;
}

/* consistency.stat_reset() */
Datum
consistency_stat_reset(PG_FUNCTION_ARGS)
{
	errors_require_preload("consistency.stat_reset()");
	violations_reset();
	read_stats_reset();
	policy_stats_reset();
	node_state_reset_counters();
	for (int i = 0; i < nresets; i++)
		resets[i] ();
	PG_RETURN_VOID();
}
