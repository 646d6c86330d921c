/*-------------------------------------------------------------------------
 *
 * fallback.c
 *	  How many reads may fall back to the primary at a time.
 *
 * When all replicas lag, all the reads that they were to serve fall back to the
 * primary, which can be the end of it.  So this server lets through as many at
 * a time as consistency.fallback_limit says, whether they run here (at a
 * primary) or are sent there (from a replica); the others wait for their turn.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/atomics.h"

#include "core/errors.h"
#include "core/guc.h"
#include "core/nap.h"
#include "core/shmem.h"
#include "core/wait_event.h"
#include "exec/fallback.h"

/* naps while waiting for one's turn, microseconds */
#define FALLBACK_NAP 5000

typedef struct Fallback
{
	pg_atomic_uint32 running;	/* reads that fell back and still run */
} Fallback;

static Fallback *fallback = NULL;

static void setup_fallback(void *segment);
static bool enter(void);
static void leave(void *arg);

/* Only while the library is being preloaded. */
void
fallback_init(void)
{
	shmem_register("consistency fallback", sizeof(Fallback), 0, (void **) &fallback,
				   setup_fallback);
}

/*
 * fallback_begin
 *		A read falls back to the primary: wait for its turn; an error after the
 *		deadline.
 *
 * It counts for as long as the current memory context lives.
 */
void
fallback_begin(TimestampTz deadline)
{
	MemoryContextCallback *on_reset = palloc(sizeof(MemoryContextCallback));
	int			nap_us = FALLBACK_NAP;

	while (!enter())
	{
		if (!nap(&nap_us, FALLBACK_NAP, deadline, wait_event_fallback()))
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("too many reads have fallen back to the primary"),
					 errdetail("No replica could serve the read in time, and consistency.fallback_limit is %d.",
							   guc_fallback_limit),
					 errhint("See the view consistency.nodes for the replicas' lag; raise consistency.wait_timeout or consistency.fallback_limit.")));
	}
	on_reset->func = leave;
	on_reset->arg = NULL;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, on_reset);
}

static void
setup_fallback(void *segment)
{
	pg_atomic_init_u32(&((Fallback *) segment)->running, 0);
}

static bool
enter(void)
{
	uint32		running = pg_atomic_read_u32(&fallback->running);

	do
	{
		if (guc_fallback_limit >= 0 && running >= (uint32) guc_fallback_limit)
			return false;
	} while (!pg_atomic_compare_exchange_u32(&fallback->running, &running, running + 1));
	return true;
}

static void
leave(void *arg)
{
	pg_atomic_fetch_sub_u32(&fallback->running, 1);
}
