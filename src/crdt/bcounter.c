/*-------------------------------------------------------------------------
 *
 * bcounter.c
 *	  Counter that never falls below its bound.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine bcounter_routine = {
	.name = "bcounter",
};
