/*-------------------------------------------------------------------------
 *
 * lww_register.c
 *	  Register that keeps the value with the latest stamp.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"

const CrdtRoutine lww_register_routine = {
	.name = "lww_register",
};
