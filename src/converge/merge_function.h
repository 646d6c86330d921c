/*-------------------------------------------------------------------------
 *
 * merge_function.h
 *	  Columns that are merged by a function of the user's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MERGE_FUNCTION_H
#define CONSISTENCY_MERGE_FUNCTION_H

#include "converge/row_merge.h"

extern Datum merge_function_call(Relation relation, ColumnRule *column, const RowImage *a, const RowImage *b, bool *isnull);

#endif							/* CONSISTENCY_MERGE_FUNCTION_H */
