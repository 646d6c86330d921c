/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  A hybrid logical clock, for stamps that order changes by time.
 *
 * A stamp is a bigint: milliseconds since 1970 in the upper 48 bits, and a
 * counter in the lower 16 that carries over.  Stamps only ever grow, and are
 * never behind one that was seen.  See Kulkarni, Demirbas, Madappa, Avva, Leone:
 * "Logical physical clocks" (OPODIS 2014).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_CLOCK_H
#define CONSISTENCY_CRDT_CLOCK_H

#include "datatype/timestamp.h"

/* bits of a stamp that count within a millisecond */
#define CLOCK_COUNTER_BITS 16

extern void clock_init(void);
extern int64 clock_next(int64 seen);
extern bool clock_witness(int64 seen);
extern TimestampTz clock_time(int64 stamp);

#endif							/* CONSISTENCY_CRDT_CLOCK_H */
