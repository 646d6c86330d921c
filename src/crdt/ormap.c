/*-------------------------------------------------------------------------
 *
 * ormap.c
 *	  Map from text to other conflict-free types.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine ormap_routine = {
	.name = "ormap",
};
