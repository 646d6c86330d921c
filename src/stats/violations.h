/*-------------------------------------------------------------------------
 *
 * violations.h
 *	  Promises that were not kept, counted: consistency.stat_violations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_VIOLATIONS_H
#define CONSISTENCY_VIOLATIONS_H

typedef enum ViolationKind
{
	VIOLATION_LOST_POSITION,	/* a token or position of a session that a
								 * failover has lost */
	VIOLATION_STALE_ANSWER,		/* on_timeout = stale answered below what was
								 * promised */
	VIOLATION_UNFENCED_READ,	/* linearizable, and no synchronous standby
								 * that confirms the primary */
	NUM_VIOLATION_KINDS
} ViolationKind;

extern void violations_init(void);
extern void violations_count(ViolationKind kind);
extern void violations_reset(void);

#endif							/* CONSISTENCY_VIOLATIONS_H */
