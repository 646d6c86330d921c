/*-------------------------------------------------------------------------
 *
 * ew_flag.c
 *	  Flag that is on if it was switched on and off concurrently.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine ew_flag_routine = {
	.name = "ew_flag",
};
