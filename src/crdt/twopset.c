/*-------------------------------------------------------------------------
 *
 * twopset.c
 *	  Set in which what was removed never comes back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine twopset_routine = {
	.name = "twopset",
};
