/*-------------------------------------------------------------------------
 *
 * replica_id.h
 *	  Who we are when we change a CRDT.
 *
 * A replica id names one incarnation of a writable database: a clone or a
 * promoted standby is another one, since it may not know the last changes that
 * its origin has handed on.  Ids are never used again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_REPLICA_ID_H
#define CONSISTENCY_CRDT_REPLICA_ID_H

extern void replica_id_init(void);
extern uint64 replica_id_own(void);
extern uint64 replica_id_draw(void);

#endif							/* CONSISTENCY_CRDT_REPLICA_ID_H */
