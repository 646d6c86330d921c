/*-------------------------------------------------------------------------
 *
 * skipped_updates.h
 *	  Updates that apply skips, since it doesn't find their row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_SKIPPED_UPDATES_H
#define CONSISTENCY_CONVERGE_SKIPPED_UPDATES_H

extern void skipped_updates_init(void);

#endif							/* CONSISTENCY_CONVERGE_SKIPPED_UPDATES_H */
