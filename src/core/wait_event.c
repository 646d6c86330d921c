/*-------------------------------------------------------------------------
 *
 * wait_event.c
 *	  What our waits are called in pg_stat_activity.
 *
 * A name can be registered only once shared memory is there, so each is
 * looked up at the first wait of a process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/wait_event.h"

#define DEFINE_WAIT_EVENT(function, name) \
uint32 \
function(void) \
{ \
	static uint32 event = 0; \
 \
	if (event == 0) \
		event = COMPAT_WAIT_EVENT(name); \
	return event; \
}

/* for replay to reach a position */
DEFINE_WAIT_EVENT(wait_event_replay, "ConsistencyReplay")

/* for committed transactions to become visible at the primary */
DEFINE_WAIT_EVENT(wait_event_barrier, "ConsistencyBarrier")

/* for a connection to another node */
DEFINE_WAIT_EVENT(wait_event_connect, "ConsistencyConnect")

/* for an answer from another node */
DEFINE_WAIT_EVENT(wait_event_remote, "ConsistencyRemote")

/* the node monitor, between heartbeats */
DEFINE_WAIT_EVENT(wait_event_monitor, "ConsistencyMonitor")

/* for synchronous standbys to confirm that this server is the primary */
DEFINE_WAIT_EVENT(wait_event_fence, "ConsistencyFence")

/* for one's turn to fall back to the primary */
DEFINE_WAIT_EVENT(wait_event_fallback, "ConsistencyFallback")

/* for the primary to answer how far it is */
DEFINE_WAIT_EVENT(wait_event_freshness, "ConsistencyFreshness")

/* for a quorum of nodes to answer how far they are */
DEFINE_WAIT_EVENT(wait_event_read_quorum, "ConsistencyReadQuorum")

/* for a primary to come up */
DEFINE_WAIT_EVENT(wait_event_primary, "ConsistencyPrimary")

/* for nodes to apply a commit */
DEFINE_WAIT_EVENT(wait_event_quorum, "ConsistencyQuorum")
