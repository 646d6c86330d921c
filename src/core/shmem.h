/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  The one pair of shared-memory hooks that all modules use.
 *
 * Call shmem_register() from a module's <module>_init(), while the library is
 * being preloaded.  The segment is zeroed and handed to setup() once, in the
 * postmaster (again after a crash restart), and its address is stored in
 * *address in every process.  It has the fixed size and, behind that, the
 * size per backend MaxBackends times.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_SHMEM_H
#define CONSISTENCY_SHMEM_H

#include "storage/lwlock.h"

typedef void (*shmem_setup_fn) (void *segment);

extern void shmem_init(void);
extern bool shmem_is_preloaded(void);
extern void shmem_register(const char *name, Size fixed, Size per_backend, void **address,
						   shmem_setup_fn setup);

#endif							/* CONSISTENCY_SHMEM_H */
