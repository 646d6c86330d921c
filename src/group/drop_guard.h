/*-------------------------------------------------------------------------
 *
 * drop_guard.h
 *	  The extension isn't dropped while its database is in a group.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_DROP_GUARD_H
#define CONSISTENCY_DROP_GUARD_H

extern void drop_guard_init(void);

#endif							/* CONSISTENCY_DROP_GUARD_H */
