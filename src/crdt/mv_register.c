/*-------------------------------------------------------------------------
 *
 * mv_register.c
 *	  Register that keeps all values that were assigned concurrently.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine mv_register_routine = {
	.name = "mv_register",
};
