/*-------------------------------------------------------------------------
 *
 * init.c
 *	  What happens when the library is loaded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "converge/conflict_counters.h"
#include "converge/conflict_log.h"
#include "converge/member.h"
#include "converge/owner_forward.h"
#include "converge/owner_transaction.h"
#include "converge/skipped_updates.h"
#include "core/guc.h"
#include "core/kept.h"
#include "core/shmem.h"
#include "core/violations.h"
#include "core/weaken.h"
#include "crdt/clock.h"
#include "crdt/replica_id.h"
#include "exec/enforce.h"
#include "exec/fallback.h"
#include "exec/forward_hint.h"
#include "exec/forward_scan.h"
#include "exec/forward_transaction.h"
#include "exec/nesting.h"
#include "exec/planner_hook.h"
#include "exec/routed_scan.h"
#include "exec/statement_id.h"
#include "exec/utility_hook.h"
#include "exec/write_quorum.h"
#include "group/check_attached.h"
#include "group/check_group.h"
#include "group/drop_guard.h"
#include "node/applied.h"
#include "node/membership.h"
#include "node/node_catalog.h"
#include "node/node_counters.h"
#include "node/node_monitor.h"
#include "node/node_state.h"
#include "node/receiver.h"
#include "remote/connection_limit.h"
#include "remote/settings_report.h"
#include "requirement/fence.h"
#include "session/commits.h"
#include "session/level.h"
#include "session/policy.h"
#include "session/quorum.h"
#include "session/session.h"
#include "stats/policy_stats.h"
#include "stats/read_stats.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/* Hooks, most settings and shared memory come with preloading only. */
void
_PG_init(void)
{
	policy_init();
	replica_id_init();
	clock_init();
	member_init();
	conflict_log_init();
	skipped_updates_init();
	if (!process_shared_preload_libraries_in_progress)
		return;

	shmem_init();
	kept_init();
	violations_init();
	level_init();
	quorum_init();
	commits_init();
	session_init();
	settings_report_init();
	fence_init();
	node_counters_init();
	node_state_init();
	node_monitor_init();
	receiver_init();
	applied_init();
	membership_init();
	routed_scan_init();
	forward_scan_init();
	forward_transaction_init();
	nesting_init();
	statement_id_init();
	forward_hint_init();
	enforce_init();
	fallback_init();
	connection_limit_init();
	planner_hook_init();
	write_quorum_init();
	utility_hook_init();
	owner_forward_init();
	owner_transaction_init();
	read_stats_init();
	policy_stats_init();
	conflict_counters_init();
	check_group_init();
	drop_guard_init();
	check_attached_init();
	weaken_init();
	guc_init();					/* last: it reserves the prefix of all
								 * settings */
}
