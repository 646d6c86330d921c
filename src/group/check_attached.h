/*-------------------------------------------------------------------------
 *
 * check_attached.h
 *	  What keeps attached tables from converging, for consistency.check().
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CHECK_ATTACHED_H
#define CONSISTENCY_CHECK_ATTACHED_H

extern void check_attached_init(void);

#endif							/* CONSISTENCY_CHECK_ATTACHED_H */
