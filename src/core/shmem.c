/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  The one pair of shared-memory hooks that all modules use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "core/shmem.h"

#define SHMEM_MAX_SEGMENTS 32

typedef struct ShmemSegment
{
	const char *name;			/* in pg_shmem_allocations */
	Size		fixed;			/* bytes */
	Size		per_backend;	/* bytes for each backend, on top of these */
	void	  **address;		/* where the module keeps the pointer */
	shmem_setup_fn setup;		/* fills the zeroed segment, once */
} ShmemSegment;

static ShmemSegment segments[SHMEM_MAX_SEGMENTS];
static int	num_segments = 0;
static bool preloaded = false;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size segment_size(const ShmemSegment *segment);
static void consistency_shmem_request(void);
static void consistency_shmem_startup(void);

/* Install the hooks.  Only while the library is being preloaded. */
void
shmem_init(void)
{
	Assert(process_shared_preload_libraries_in_progress);

	preloaded = true;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = consistency_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = consistency_shmem_startup;
}

/* Was the library preloaded, so that hooks and shared memory exist? */
bool
shmem_is_preloaded(void)
{
	return preloaded;
}

/* Ask for a segment; see shmem.h. */
void
shmem_register(const char *name, Size fixed, Size per_backend, void **address,
			   shmem_setup_fn setup)
{
	if (num_segments >= SHMEM_MAX_SEGMENTS)
		elog(ERROR, "too many shared memory segments");
	segments[num_segments++] = (ShmemSegment)
	{
		name, fixed, per_backend, address, setup
	};
}

/* How many backends there can be is known only once the hooks run. */
static Size
segment_size(const ShmemSegment *segment)
{
	return add_size(segment->fixed, mul_size(segment->per_backend, MaxBackends));
}

static void
consistency_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	for (int i = 0; i < num_segments; i++)
		RequestAddinShmemSpace(MAXALIGN(segment_size(&segments[i])));
}

static void
consistency_shmem_startup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < num_segments; i++)
	{
		ShmemSegment *segment = &segments[i];
		Size		size = segment_size(segment);
		bool		found;

		*segment->address = ShmemInitStruct(segment->name, size, &found);
		if (!found)
		{
			memset(*segment->address, 0, size);
			segment->setup(*segment->address);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}
