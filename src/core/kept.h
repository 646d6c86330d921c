/*-------------------------------------------------------------------------
 *
 * kept.h
 *	  Shared memory that outlives crashes and restarts, for statistics.
 *
 * When a backend crashes, PostgreSQL sets up all shared memory anew, and what
 * was counted there is gone.  This memory isn't a part of that: the postmaster
 * maps it while the library is being preloaded, and its children inherit it.
 * When the server is shut down it is written to a file, which is read and
 * removed at the next start.
 *
 * A process can die at any point, so what is kept here must be right after
 * that: counters that are written atomically, and no locks.  All of it is zero
 * at first.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_KEPT_H
#define CONSISTENCY_KEPT_H

extern void kept_init(void);
extern void *kept_register(const char *name, Size size);

#endif							/* CONSISTENCY_KEPT_H */
