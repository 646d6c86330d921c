/*-------------------------------------------------------------------------
 *
 * row_digest.h
 *	  What a row holds, in a few bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROW_DIGEST_H
#define CONSISTENCY_ROW_DIGEST_H

#include "executor/tuptable.h"

extern uint64 row_digest(TupleTableSlot *slot, uint64 *columns);

#endif							/* CONSISTENCY_ROW_DIGEST_H */
