/*-------------------------------------------------------------------------
 *
 * call.h
 *	  Calls of SQL functions from C, by name, with their errors as results.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_CALL_H
#define FUZZ_CALL_H

#include "fmgr.h"
#include "nodes/pg_list.h"


#define CALL_ARGUMENTS 4

/* A function to be called many times. */
typedef struct Call
{
	FmgrInfo	function;
	int			arguments;
	Oid			types[CALL_ARGUMENTS];
} Call;

/* What came of a call. */
typedef struct Outcome
{
	int			error;			/* SQLSTATE, 0: none */
	char	   *message;		/* of the error, in the current context */
	bool		is_null;
	Datum		value;
} Outcome;

extern Oid	call_type(const char *name);
extern Call *call_prepare(const char *name, int arguments, const Oid *types);
extern Call *call_prepare_oid(Oid function, int arguments, const Oid *types);
extern Datum call_datum(Call *call, const Datum *values);
extern Outcome call_nullable(Call *call, const NullableDatum *values, fmNodePtr context);
extern List *call_rows(Call *call, const NullableDatum *values);
extern Outcome call_try(Call *call, const NullableDatum *values, fmNodePtr context);

static inline Datum
call_1(Call *call, Datum a)
{
	return call_datum(call, &a);
}

static inline Datum
call_2(Call *call, Datum a, Datum b)
{
	Datum		values[] = {a, b};

	return call_datum(call, values);
}

#endif							/* FUZZ_CALL_H */
