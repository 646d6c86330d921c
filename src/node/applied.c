/*-------------------------------------------------------------------------
 *
 * applied.c
 *	  How many of the declared nodes have applied a position.
 *
 * A standby tells its walsender how far it has applied the log: now and then, and
 * at once for a commit that was made with synchronous_commit = remote_apply.
 * PostgreSQL asks nobody after that but for the standbys that
 * synchronous_standby_names lists.  So the walsenders note it here as well, with
 * who the standby is (receiver.c), and wake who waits for it.
 *
 * They do so where they ask whether something is still to be sent, right after
 * they have read what the standby said: they call that by a table of functions,
 * PqCommMethods, of which they get one of our own.
 *
 * A standby that has more than the server that was promoted can't follow it, and
 * still asks for what both have, and says how far it is: with log that isn't this
 * server's.  So it counts only for what was sent to it from here.
 *
 * A node that streams from another replica has no walsender here.  It counts by
 * its heartbeats, and so only some time after it has applied something; nobody is
 * woken by those.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "libpq/auth.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/proc.h"

#include "core/shmem.h"
#include "node/applied.h"
#include "node/node_table.h"
#include "node/receiver.h"

/* What one walsender's standby has said; only that walsender writes. */
typedef struct Sender
{
	pg_atomic_uint64 instance;	/* which server it is; 0: nobody that we know,
								 * or no walsender */
	pg_atomic_uint64 lsn;		/* applied up to here; 0: not told yet */
} Sender;

typedef struct Senders
{
	pg_atomic_uint32 waiting;	/* processes that wait */
	pg_atomic_uint64 acknowledged;	/* highest end of a commit that its write
									 * quorum has confirmed; 0: none yet */
	Sender		senders[FLEXIBLE_ARRAY_MEMBER]; /* max_wal_senders, in
												 * WalSndCtl's order */
} Senders;

static Senders *senders = NULL;

/* What each process waits for, by process number: an LSN; 0: nothing. */
static pg_atomic_uint64 *waits = NULL;

/* In a walsender: its place, once it streams to a server that said who it is. */
static Sender *my_sender = NULL;

static ClientAuthentication_hook_type prev_ClientAuthentication = NULL;
static const PQcommMethods *prev_methods = NULL;
static PQcommMethods methods;

/* In a backend: the members as of a generation of the node table. */
typedef struct Member
{
	int			slot;
	bool		self;
	uint64		instance;		/* 0: not heard of yet */
} Member;

static Member members[NODE_STATE_MAX_NODES];
static int	num_members = 0;
static uint32 members_generation = 0;	/* 0: none was read yet */

static void setup_senders(void *segment);
static void setup_waits(void *segment);
static void consistency_ClientAuthentication(Port *port, int status);
static Applied look(XLogRecPtr lsn, bool everywhere);
static bool is_send_pending(void);
static void note_applied(void);
static void wake(XLogRecPtr from, XLogRecPtr to);
static void forget_sender(int code, Datum arg);
static void read_members(void);
static bool find_sender(uint64 instance, XLogRecPtr *lsn);
static bool heard_from(int slot, XLogRecPtr lsn);

/* Only while the library is being preloaded. */
void
applied_init(void)
{
	shmem_register("consistency walsenders",
				   offsetof(Senders, senders) + max_wal_senders * sizeof(Sender), 0,
				   (void **) &senders, setup_senders);
	shmem_register("consistency waits for nodes", 0, sizeof(pg_atomic_uint64),
				   (void **) &waits, setup_waits);
	prev_ClientAuthentication = ClientAuthentication_hook;
	ClientAuthentication_hook = consistency_ClientAuthentication;
}

/*
 * applied_look
 *		Which part of the nodes that this database declares has applied a
 *		position of this primary's?
 *
 * To be asked for the end of a commit that was made with synchronous_commit =
 * remote_apply: of others the standbys don't tell at once.
 */
Applied
applied_look(XLogRecPtr lsn)
{
	return look(lsn, false);
}

/* The same of any position, by what heartbeats tell as well. */
Applied
applied_look_everywhere(XLogRecPtr lsn)
{
	return look(lsn, true);
}

static Applied
look(XLogRecPtr lsn, bool everywhere)
{
	Applied		result = {0};

	if (members_generation != pg_atomic_read_u32(&node_table->generation))
		read_members();
	result.members = num_members;
	result.generation = members_generation;
	for (int i = 0; i < num_members; i++)
	{
		XLogRecPtr	applied;

		if (members[i].self)
		{
			result.self = true;
			result.nodes++;
		}
		else if (members[i].instance != 0 && find_sender(members[i].instance, &applied) &&
				 (applied >= lsn || !everywhere))
			result.nodes += applied >= lsn;
		else if (heard_from(members[i].slot, lsn))
			result.nodes++;
		else
			result.unheard = true;
	}
	return result;
}

/*
 * applied_acknowledge
 *		A commit's write quorum has confirmed it, of the nodes that were declared
 *		as of this generation.  False: others are, look again.
 *
 * Who changes what is declared does so first, and then asks how far commits were
 * acknowledged: so either we see the change, or it sees us.
 */
bool
applied_acknowledge(XLogRecPtr lsn, uint32 generation)
{
	uint64		seen = pg_atomic_read_u64(&senders->acknowledged);

	while (seen < lsn && !pg_atomic_compare_exchange_u64(&senders->acknowledged, &seen, lsn))
		;
	pg_memory_barrier();
	return pg_atomic_read_u32(&node_table->generation) == generation;
}

/* How far that is, of all commits at this server. */
XLogRecPtr
applied_acknowledged(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u64(&senders->acknowledged);
}

/*
 * applied_wait_begin, applied_wait_end
 *		In between this process's latch is set when a node reaches the position.
 *
 * Look after the beginning: a node that got there before wakes nobody.
 */
void
applied_wait_begin(XLogRecPtr lsn)
{
	pg_atomic_write_u64(&waits[MyProc - ProcGlobal->allProcs], lsn);
	pg_atomic_fetch_add_u32(&senders->waiting, 1);
}

void
applied_wait_end(void)
{
	pg_atomic_fetch_sub_u32(&senders->waiting, 1);
	pg_atomic_write_u64(&waits[MyProc - ProcGlobal->allProcs], InvalidXLogRecPtr);
}

static void
setup_senders(void *segment)
{
	Senders    *new = segment;

	pg_atomic_init_u32(&new->waiting, 0);
	pg_atomic_init_u64(&new->acknowledged, InvalidXLogRecPtr);
	for (int i = 0; i < max_wal_senders; i++)
	{
		pg_atomic_init_u64(&new->senders[i].instance, 0);
		pg_atomic_init_u64(&new->senders[i].lsn, InvalidXLogRecPtr);
	}
}

static void
setup_waits(void *segment)
{
	pg_atomic_uint64 *new = segment;

	for (int i = 0; i < MaxBackends; i++)
		pg_atomic_init_u64(&new[i], InvalidXLogRecPtr);
}

/* The first that we hear of a walsender. */
static void
consistency_ClientAuthentication(Port *port, int status)
{
	if (prev_ClientAuthentication)
		prev_ClientAuthentication(port, status);
	if (!am_walsender || am_db_walsender)
		return;
	prev_methods = PqCommMethods;
	methods = *prev_methods;
	methods.is_send_pending = is_send_pending;
	PqCommMethods = &methods;
}

static bool
is_send_pending(void)
{
	note_applied();
	return prev_methods->is_send_pending();
}

/* Note what the standby has said last, and wake who waited for that. */
static void
note_applied(void)
{
	static XLogRecPtr noted = InvalidXLogRecPtr;
	XLogRecPtr	lsn;

	/* Who writes the fields of its own place may read them without the lock. */
	if (MyWalSnd == NULL || MyWalSnd->apply == noted || MyWalSnd->apply > MyWalSnd->sentPtr)
		return;
	lsn = MyWalSnd->apply;
	if (my_sender == NULL)
	{
		uint64		instance = receiver_instance();

		if (instance == 0)
		{
			noted = lsn;
			return;
		}
		my_sender = &senders->senders[MyWalSnd - WalSndCtl->walsnds];
		pg_atomic_write_u64(&my_sender->lsn, InvalidXLogRecPtr);
		before_shmem_exit(forget_sender, (Datum) 0);
		pg_write_barrier();
		pg_atomic_write_u64(&my_sender->instance, instance);
	}
	pg_atomic_write_u64(&my_sender->lsn, lsn);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&senders->waiting) > 0)
		wake(noted, lsn);
	noted = lsn;
}

/* Wake who waits for a position behind the first and up to the second. */
static void
wake(XLogRecPtr from, XLogRecPtr to)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		XLogRecPtr	wanted = pg_atomic_read_u64(&waits[i]);

		if (wanted > from && wanted <= to)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}

static void
forget_sender(int code, Datum arg)
{
	pg_atomic_write_u64(&my_sender->instance, 0);
}

/* Copy which nodes this database declares. */
static void
read_members(void)
{
	int			slots[NODE_STATE_MAX_NODES];

	LWLockAcquire(&node_table->lock, LW_SHARED);
	members_generation = pg_atomic_read_u32(&node_table->generation);
	num_members = node_table_members(MyDatabaseId, slots);
	for (int i = 0; i < num_members; i++)
	{
		const SharedNode *node = &node_table->nodes[slots[i]];

		members[i] = (Member)
		{
			.slot = slots[i],
				.self = node->self,
				.instance = node->instance
		};
	}
	LWLockRelease(&node_table->lock);
}

/* How far is a server that streams from here?  False: none does by that id. */
static bool
find_sender(uint64 instance, XLogRecPtr *lsn)
{
	bool		found = false;

	*lsn = InvalidXLogRecPtr;
	for (int i = 0; i < max_wal_senders; i++)
	{
		Sender	   *sender = &senders->senders[i];

		/* Of one that has connected anew the old walsender may be left. */
		if (pg_atomic_read_u64(&sender->instance) == instance)
		{
			found = true;
			pg_read_barrier();
			*lsn = Max(*lsn, pg_atomic_read_u64(&sender->lsn));
		}
	}
	return found;
}

/* Has a node that doesn't stream from here said in a heartbeat that it is there? */
static bool
heard_from(int slot, XLogRecPtr lsn)
{
	const SharedNode *node = &node_table->nodes[slot];
	bool		heard;

	LWLockAcquire(&node_table->lock, LW_SHARED);
	heard = node->used && node->health == NODE_UP && node->role == NODE_REPLICA &&
		node->position.tli == GetWALInsertionTimeLine() && node->position.lsn >= lsn;
	LWLockRelease(&node_table->lock);
	return heard;
}
