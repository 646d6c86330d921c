/*-------------------------------------------------------------------------
 *
 * connection_limit.c
 *	  How many connections this server has to each other node.
 *
 * Each connection of any backend has a place in shared memory, from before it is
 * opened until it is closed.  Who opens one counts those of the same node, and
 * waits for one to go if there are consistency.connection_limit of them.
 *
 * Connections that were left idle are closed by the node, after the time that it
 * was told (consistency.connection_idle_timeout).  Their backends notice only
 * when they want to use them.  So the place says until when an idle connection
 * can be there, and it counts no longer than that.  And while somebody waits,
 * connections are closed rather than left idle.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"

#include "core/guc.h"
#include "core/nap.h"
#include "core/shmem.h"
#include "core/wait_event.h"
#include "remote/connection_limit.h"

/* mostly a backend needs one for each other node; there is a common stock */
#define PLACES_PER_BACKEND 8

/* naps while waiting for a place, microseconds */
#define LIMIT_NAP 5000

/* what the node's end of an idle connection may be late by, milliseconds */
#define IDLE_MARGIN_MS 1000

/* One connection.  Free to read and write without a lock: idle_until. */
typedef struct ConnectionPlace
{
	int			pid;			/* backend that has it; 0: free */
	uint64		node;			/* hash of the node's address */
	TimestampTz idle_until;		/* when the node closes it; DT_NOEND: it is in
								 * use, or never will */
} ConnectionPlace;

typedef struct ConnectionPlaces
{
	int			tranche;		/* of lock; constant after setup */
	int			nplaces;		/* constant as well */
	LWLock		lock;			/* of places */
	pg_atomic_uint32 waiting;	/* backends that wait for one */
	ConnectionPlace places[FLEXIBLE_ARRAY_MEMBER];
} ConnectionPlaces;

/* NULL where the library wasn't preloaded */
static ConnectionPlaces *shared = NULL;

/* this backend is one of shared->waiting */
static bool waiting = false;

static void setup_places(void *segment);
static bool try_take(uint64 node, int *place);
static void set_waiting(bool now);
static void leave(int code, Datum arg);

/* Only while the library is being preloaded. */
void
connection_limit_init(void)
{
	shmem_register("consistency connections", offsetof(ConnectionPlaces, places),
				   PLACES_PER_BACKEND * sizeof(ConnectionPlace), (void **) &shared,
				   setup_places);
}

/* The same for all server objects that name a node alike: a hash. */
uint64
connection_limit_node(const char *host, const char *port)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) host, strlen(host), 0);

	return hash_bytes_extended((const unsigned char *) port, strlen(port), hash);
}

/* How many connections this server has to a node. */
int
connection_limit_count(uint64 node)
{
	TimestampTz now = GetCurrentTimestamp();
	int			open = 0;

	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < shared->nplaces; i++)
	{
		const ConnectionPlace *place = &shared->places[i];

		if (place->pid != 0 && place->node == node && place->idle_until > now)
			open++;
	}
	LWLockRelease(&shared->lock);
	return open;
}

/*
 * connection_limit_take
 *		Take a place for a new connection to a node, at *place.
 *
 * False if there is none before the deadline (0: at once).
 */
bool
connection_limit_take(uint64 node, TimestampTz deadline, int *place)
{
	static bool registered = false;
	int			nap_us = LIMIT_NAP;
	bool		taken;

	*place = CONNECTION_NOT_COUNTED;
	if (shared == NULL)
		return true;
	if (!registered)
	{
		before_shmem_exit(leave, (Datum) 0);
		registered = true;
	}

	taken = try_take(node, place);
	if (taken || deadline == 0)
		return taken;

	set_waiting(true);
	PG_TRY();
	{
		while (!taken && nap(&nap_us, LIMIT_NAP, deadline, wait_event_connect()))
			taken = try_take(node, place);
	}
	PG_FINALLY();
	{
		set_waiting(false);
	}
	PG_END_TRY();
	return taken;
}

/*
 * The connection was closed, or not made.  (At the end of the process the place
 * was given back already, and may be another's.)
 */
void
connection_limit_give_back(int place)
{
	if (place == CONNECTION_NOT_COUNTED)
		return;
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->places[place].pid == MyProcPid)
		shared->places[place].pid = 0;
	LWLockRelease(&shared->lock);
}

/* The connection is used, or is one that the node doesn't close by itself. */
void
connection_limit_in_use(int place)
{
	if (place != CONNECTION_NOT_COUNTED)
		shared->places[place].idle_until = DT_NOEND;
}

/* The connection is idle, and the node closes it then. */
void
connection_limit_idle(int place, TimestampTz closes_at)
{
	if (place != CONNECTION_NOT_COUNTED)
		shared->places[place].idle_until =
			TimestampTzPlusMilliseconds(closes_at, IDLE_MARGIN_MS);
}

/* Does anybody wait for a connection to be closed? */
bool
connection_limit_is_waited_for(void)
{
	return shared != NULL && pg_atomic_read_u32(&shared->waiting) > 0;
}

static void
setup_places(void *segment)
{
	ConnectionPlaces *places = segment;

	places->tranche = LWLockNewTrancheId();
	LWLockRegisterTranche(places->tranche, "consistency connections");
	LWLockInitialize(&places->lock, places->tranche);
	pg_atomic_init_u32(&places->waiting, 0);
	places->nplaces = PLACES_PER_BACKEND * MaxBackends;
}

/*
 * Take a place unless the node has as many connections as it may.  Where all
 * places are taken, over all nodes, the connection isn't counted.
 */
static bool
try_take(uint64 node, int *place)
{
	TimestampTz now = GetCurrentTimestamp();
	int			open = 0;
	int			unused = CONNECTION_NOT_COUNTED;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nplaces; i++)
	{
		const ConnectionPlace *other = &shared->places[i];

		if (other->pid == 0)
			unused = unused == CONNECTION_NOT_COUNTED ? i : unused;
		else if (other->node == node && other->idle_until > now)
			open++;
	}
	if (guc_connection_limit >= 0 && open >= guc_connection_limit)
	{
		LWLockRelease(&shared->lock);
		return false;
	}
	if (unused != CONNECTION_NOT_COUNTED)
		shared->places[unused] = (ConnectionPlace)
	{
		MyProcPid, node, DT_NOEND
	};
	LWLockRelease(&shared->lock);
	*place = unused;
	return true;
}

static void
set_waiting(bool now)
{
	if (waiting == now)
		return;
	waiting = now;
	if (now)
		pg_atomic_fetch_add_u32(&shared->waiting, 1);
	else
		pg_atomic_fetch_sub_u32(&shared->waiting, 1);
}

/* This backend ends, and its connections with it. */
static void
leave(int code, Datum arg)
{
	set_waiting(false);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nplaces; i++)
	{
		if (shared->places[i].pid == MyProcPid)
			shared->places[i].pid = 0;
	}
	LWLockRelease(&shared->lock);
}
