/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  Columns of a result row from C strings, of which NULL is null.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COLUMNS_H
#define CONSISTENCY_COLUMNS_H

#include "fmgr.h"
#include "utils/builtins.h"

/* A column of type text. */
static inline void
column_put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* A column of type name; what is too long is cut off. */
static inline void
column_put_name(Datum *values, bool *nulls, int column, const char *name)
{
	nulls[column] = name == NULL;
	values[column] = name ? DirectFunctionCall1(namein, CStringGetDatum(name)) : (Datum) 0;
}

#endif							/* CONSISTENCY_COLUMNS_H */
