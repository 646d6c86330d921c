/*-------------------------------------------------------------------------
 *
 * stat_reset.h
 *	  consistency.stat_reset(), for what is counted by later stages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_STAT_RESET_H
#define CONSISTENCY_STAT_RESET_H

typedef void (*stat_reset_fn) (void);

extern void stat_reset_register(stat_reset_fn reset);

#endif							/* CONSISTENCY_STAT_RESET_H */
