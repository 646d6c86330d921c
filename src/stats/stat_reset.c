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

PG_FUNCTION_INFO_V1(consistency_stat_reset);

/* consistency.stat_reset() */
Datum
consistency_stat_reset(PG_FUNCTION_ARGS)
{
	errors_require_preload("consistency.stat_reset()");
	violations_reset();
	read_stats_reset();
	policy_stats_reset();
	node_state_reset_counters();
	PG_RETURN_VOID();
}
