/*-------------------------------------------------------------------------
 *
 * row_merge.h
 *	  Two versions of a row become one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROW_MERGE_H
#define CONSISTENCY_ROW_MERGE_H

#include "access/htup.h"

#include "converge/conflict.h"
#include "converge/table_rules.h"
#include "crdt/row_version.h"

/* A row, taken apart: arrays by attribute number - 1 */
typedef struct RowImage
{
	HeapTuple	tuple;			/* that it was made of; may be NULL */
	Datum	   *values;
	bool	   *nulls;
	RowVersion	version;
} RowImage;

extern RowImage row_image(TableRules *rules, TupleDesc desc, HeapTuple tuple);
extern RowImage row_image_empty(TableRules *rules);
extern HeapTuple row_image_tuple(TableRules *rules, TupleDesc desc, RowImage *row);
extern bool row_same_value(const ColumnRule *column, const RowImage *a, const RowImage *b);
extern bool row_is_stored_elsewhere(const ColumnRule *column, const RowImage *row);
extern Datum row_column_join(ColumnRule *column, Relation relation, const RowImage *a, const RowImage *b, bool *isnull);

extern void row_merge_show_values(TableRules *rules, RowImage *row);
extern bool row_merge(Relation relation, TableRules *rules, const RowImage *local, const RowImage *incoming,
					  ConflictKind kind, RowImage *merged);

#endif							/* CONSISTENCY_ROW_MERGE_H */
