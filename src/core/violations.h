/*-------------------------------------------------------------------------
 *
 * violations.h
 *	  Promises that were not kept, counted and remembered.
 *
 * Counters of this server, for all databases, and of each kind the newest
 * ones with what is known of them.  They outlive crashes and restarts (kept.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_VIOLATIONS_H
#define CONSISTENCY_VIOLATIONS_H

#include "datatype/timestamp.h"

typedef enum ViolationKind
{
	VIOLATION_LOST_POSITION,	/* a token or position of a session that a
								 * failover has lost */
	VIOLATION_STALE_ANSWER,		/* on_timeout = stale answered below what was
								 * promised */
	VIOLATION_UNFENCED_READ,	/* linearizable, and no synchronous standby
								 * that confirms the primary */
	VIOLATION_REGRESSION,		/* a read that would have gone back behind
								 * what its session has seen: refused */
	VIOLATION_REFUSED_TOKEN,	/* malformed, or of another cluster */
	VIOLATION_UNCONFIRMED_COMMIT,	/* one that its write quorum didn't
									 * confirm: the client was told */
	NUM_VIOLATION_KINDS
} ViolationKind;

/* of each kind that many are remembered */
#define VIOLATIONS_REMEMBERED 200

#define VIOLATION_DETAIL_SIZE 256

typedef struct Violation
{
	TimestampTz time;
	Oid			database;
	Oid			role;			/* current user */
	int			pid;
	char		application_name[NAMEDATALEN];
	char		detail[VIOLATION_DETAIL_SIZE];
} Violation;

extern void violations_init(void);
extern void violations_count(ViolationKind kind);
extern void violations_record(ViolationKind kind, const char *format,...) pg_attribute_printf(2, 3);
extern void violations_reset(void);

extern const char *violation_name(ViolationKind kind);
extern uint64 violations_counted(ViolationKind kind, TimestampTz *last);
extern bool violations_remembered(ViolationKind kind, int place, Violation *violation);

#endif							/* CONSISTENCY_VIOLATIONS_H */
