/*-------------------------------------------------------------------------
 *
 * node_monitor.c
 *	  The background worker that keeps the shared table.
 *
 * One per server, primary or replica, connected to no database.  It sends
 * heartbeats to all nodes (node_link.c) and has databases read for what they
 * declare (node_reader.c).  All waiting is done here, for everything at once:
 * the latch, the links' sockets, and the nearest point in time at which any
 * of them has something to do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "core/guc.h"
#include "core/wait_event.h"
#include "node/node_freshness.h"
#include "node/node_link.h"
#include "node/node_members.h"
#include "node/node_monitor.h"
#include "node/node_reader.h"
#include "node/node_votes.h"
#include "node/node_watch.h"

#define RESTART_SECONDS 5

static NodeLink links[NODE_STATE_MAX_NODES];	/* by slot */
static WaitEventSet *wait_set = NULL;
static int64 own_sample_us = 0; /* when to take down our own position */

static void end_monitor(int code, Datum arg);
static void monitor_pass(MemoryContext context);
static void reload_config(void);
static void follow_promotion(void);
static void follow_table(void);
static void follow_slot(int slot);
static bool watches_any(void);
static void follow_freshness(void);
static void follow_wishes(void);
static void rebuild_wait_set(void);
static long wait_time_ms(void);

extern PGDLLEXPORT void node_monitor_main(Datum arg);

/* Register the worker and the hooks.  Only while being preloaded. */
void
node_monitor_init(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = RESTART_SECONDS;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "consistency");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "node_monitor_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "consistency node monitor");
	snprintf(worker.bgw_type, BGW_MAXLEN, "consistency node monitor");
	RegisterBackgroundWorker(&worker);

	node_watch_init();
	node_members_init();
}

/* The worker. */
void
node_monitor_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(end_monitor, (Datum) 0);
	node_table_attach_monitor(MyLatch);
	node_reader_request_all();
	pgstat_report_appname("consistency node monitor");
	pgstat_report_activity(STATE_IDLE, NULL);

	context = AllocSetContextCreate(TopMemoryContext, "consistency node monitor",
									ALLOCSET_DEFAULT_SIZES);
	while (!ShutdownRequestPending)
		monitor_pass(context);

	/* With 0 the postmaster wouldn't start us again. */
	proc_exit(1);
}

static void
end_monitor(int code, Datum arg)
{
	node_table_detach_monitor();
}

/*
 * Do what is to do, then wait for the next thing.
 *
 * Sockets come before deadlines: if the monitor itself was held up, answers
 * that wait in the sockets arrived in time.  When the latch was set the wait
 * may not have looked at the sockets at all, hence the links' deadlines are
 * left to the next pass.
 */
static void
monitor_pass(MemoryContext context)
{
	WaitEvent	events[NODE_STATE_MAX_NODES + 2];
	bool		latch_set = false;
	int			nevents;
	int64		now;

	MemoryContextReset(context);
	MemoryContextSwitchTo(context);
	CHECK_FOR_INTERRUPTS();

	if (ConfigReloadPending)
		reload_config();
	follow_promotion();
	follow_table();
	follow_freshness();
	follow_wishes();
	node_reader_run(node_clock_us());
	if (node_link_sockets_changed)
		rebuild_wait_set();

	nevents = WaitEventSetWait(wait_set, wait_time_ms(), events, lengthof(events),
							   wait_event_monitor());
	now = node_clock_us();
	for (int i = 0; i < nevents; i++)
	{
		if (events[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			latch_set = true;
		}
		else if (events[i].user_data)
			node_link_socket_ready(events[i].user_data, now);
	}

	if (latch_set)
		return;
	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
		node_link_run(&links[slot], now);
}

/* Read the configuration again; another role may see other mappings. */
static void
reload_config(void)
{
	char	   *old_role = pstrdup(guc_monitor_role);

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	if (strcmp(old_role, guc_monitor_role) != 0)
		node_reader_request_all();
}

/* At a replica first nodes may have been declared unnoticed. */
static void
follow_promotion(void)
{
	static bool was_replica = false;
	bool		replica = RecoveryInProgress();

	if (was_replica && !replica)
		node_reader_request_all();
	was_replica = replica;
}

/* Watch exactly the nodes that are declared. */
static void
follow_table(void)
{
	static uint32 seen_generation = 0;
	uint32		generation = pg_atomic_read_u32(&node_table->generation);

	if (generation == seen_generation)
		return;

	seen_generation = generation;
	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
		follow_slot(slot);
}

static void
follow_slot(int slot)
{
	NodeLink   *link = &links[slot];
	uint32		generation = node_table_node(slot);
	char		conninfo[NODE_CONNINFO_SIZE];
	bool		password_required;

	if (link->phase != LINK_OFF &&
		link->generation == generation &&
		node_table_has_conninfo(slot, link->conninfo))
		return;

	if (link->phase != LINK_OFF)
		node_link_stop(link);
	if (generation == 0)
		return;
	if (node_table_conninfo(slot, 0, conninfo, &password_required) > 0)
		node_link_start(link, slot, generation);
	else
		node_table_unmonitored(slot, generation);
}

/* Is there any node to watch? */
static bool
watches_any(void)
{
	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
	{
		if (links[slot].phase != LINK_OFF)
			return true;
	}
	return false;
}

/* Once per interval learn from ourselves how far the primary is, if that is who we are. */
static void
follow_freshness(void)
{
	int64		now = node_clock_us();

	if (now >= own_sample_us && watches_any())
	{
		node_freshness_sample_self();
		own_sample_us = now + guc_monitor_interval * INT64CONST(1000);
	}
}

/*
 * Ask nodes of which somebody wants to know at once how far they are: the
 * primary, for how stale a read is; or all of them, for a quorum.
 */
static void
follow_wishes(void)
{
	bool		primary_waited_for;
	int64		primary_us = node_freshness_wanted(&primary_waited_for);
	bool		all_waited_for;
	int64		all_us = node_votes_wanted(&all_waited_for);
	bool		primary_known = false;

	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
		primary_known |= node_link_has_primary(&links[slot]);
	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
	{
		NodeLink   *link = &links[slot];
		int64		wanted_us = link->self ? PG_INT64_MIN : all_us;
		bool		waited_for = all_waited_for;

		if (link->role != NODE_REPLICA)
		{
			wanted_us = Max(wanted_us, primary_us);
			waited_for |= primary_waited_for;
		}
		else
			waited_for |= primary_waited_for && !primary_known;
		node_link_want(link, wanted_us, waited_for);
	}
}

/* Make a new set of what to wait for. */
static void
rebuild_wait_set(void)
{
	if (wait_set)
		FreeWaitEventSet(wait_set);
	wait_set = compat_create_wait_event_set(NODE_STATE_MAX_NODES + 2);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);

	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
	{
		NodeLink   *link = &links[slot];

		if (link->wants != 0 && PQsocket(link->conn) != PGINVALID_SOCKET)
			AddWaitEventToSet(wait_set, link->wants, PQsocket(link->conn), NULL, link);
	}
	node_link_sockets_changed = false;
}

/* Milliseconds until something is due; rounded up, so as not to wake early. */
static long
wait_time_ms(void)
{
	int64		next = node_reader_next();

	for (int slot = 0; slot < NODE_STATE_MAX_NODES; slot++)
		next = Min(next, node_link_next(&links[slot]));
	if (!RecoveryInProgress() && watches_any())
		next = Min(next, own_sample_us);
	next -= node_clock_us();
	return next <= 0 ? 0 : (long) ((next + 999) / 1000);
}
