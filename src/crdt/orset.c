/*-------------------------------------------------------------------------
 *
 * orset.c
 *	  Set in which an addition wins over a concurrent removal.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine orset_routine = {
	.name = "orset",
};
