/*-------------------------------------------------------------------------
 *
 * membership.h
 *	  A transaction changes which nodes there are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MEMBERSHIP_H
#define CONSISTENCY_MEMBERSHIP_H

extern void membership_init(void);
extern bool membership_may_change(void);
extern int	membership_prepare(void);
extern void membership_publish(void);
extern void membership_forget(void);

#endif							/* CONSISTENCY_MEMBERSHIP_H */
