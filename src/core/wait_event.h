/*-------------------------------------------------------------------------
 *
 * wait_event.h
 *	  What our waits are called in pg_stat_activity.
 *
 * Before PostgreSQL 17 they all show as "Extension".
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WAIT_EVENT_H
#define CONSISTENCY_WAIT_EVENT_H

extern uint32 wait_event_replay(void);
extern uint32 wait_event_barrier(void);
extern uint32 wait_event_connect(void);
extern uint32 wait_event_remote(void);
extern uint32 wait_event_monitor(void);
extern uint32 wait_event_fence(void);
extern uint32 wait_event_fallback(void);
extern uint32 wait_event_primary(void);
extern uint32 wait_event_freshness(void);
extern uint32 wait_event_read_quorum(void);
extern uint32 wait_event_quorum(void);

#endif							/* CONSISTENCY_WAIT_EVENT_H */
