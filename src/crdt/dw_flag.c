/*-------------------------------------------------------------------------
 *
 * dw_flag.c
 *	  Flag that is off if it was switched on and off concurrently.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine dw_flag_routine = {
	.name = "dw_flag",
};
