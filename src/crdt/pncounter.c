/*-------------------------------------------------------------------------
 *
 * pncounter.c
 *	  Counter that goes up and down, and can be reset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine pncounter_routine = {
	.name = "pncounter",
};
