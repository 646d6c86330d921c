/*-------------------------------------------------------------------------
 *
 * gset.c
 *	  Set that only grows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine gset_routine = {
	.name = "gset",
};
