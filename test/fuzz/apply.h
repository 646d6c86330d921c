/*-------------------------------------------------------------------------
 *
 * apply.h
 *	  The operations of the model, done to states by the SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_APPLY_H
#define FUZZ_APPLY_H

#include "call.h"
#include "model.h"

/* The functions that change states, looked up when first wanted. */
typedef struct Mutators Mutators;

extern Mutators *mutators_open(void);
extern bool model_type_nests(ModelType type);
extern Oid	mutators_type(Mutators *mutators, ModelType type);
extern Datum apply_sample(Oid type);
extern Outcome apply_operation(Mutators *mutators, const Log *log, Operation *operation, Datum state);
extern Call *mutators_call(Mutators *mutators, const char *name, ModelType type, Oid second, Oid third);

#endif							/* FUZZ_APPLY_H */
