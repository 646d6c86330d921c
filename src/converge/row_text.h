/*-------------------------------------------------------------------------
 *
 * row_text.h
 *	  Rows, and values of them, as text that means the same at all members.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROW_TEXT_H
#define CONSISTENCY_ROW_TEXT_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/jsonb.h"

#include "converge/table_rules.h"

extern int	row_text_settings(void);
extern void row_text_settings_end(int nesting);

extern char *row_text_output(ColumnRule *column, Datum value);
extern char *row_text_value(ColumnRule *column, Datum value);
extern Datum row_text_parse(ColumnRule *column, const char *text);
extern char *row_text_key(TableRules *rules, const Datum *values);
extern void row_text_parse_key(TableRules *rules, const char *key, Datum *values);
extern Jsonb *row_text_image(TableRules *rules, const Datum *values, const bool *nulls);
extern void row_text_parse_image(TableRules *rules, Jsonb *image, Datum *values, bool *nulls);

#endif							/* CONSISTENCY_ROW_TEXT_H */
