/*-------------------------------------------------------------------------
 *
 * functions.h
 *	  All SQL functions that take a CRDT of some type.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_FUNCTIONS_H
#define FUZZ_FUNCTIONS_H

#include "call.h"

#define VARIANTS 8

typedef struct Function
{
	char	   *name;
	Oid			result;
	int			variants;		/* polymorphic ones have one for each type */
	Call	   *calls[VARIANTS];
	int64		results;		/* of calls by the test */
	int64		errors;
} Function;

typedef struct Functions
{
	int			n;
	Function   *functions;
} Functions;

extern Functions *functions_of_type(Oid type);

#endif							/* FUZZ_FUNCTIONS_H */
