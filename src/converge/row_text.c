/*-------------------------------------------------------------------------
 *
 * row_text.c
 *	  Rows, and values of them, as text that means the same at all members.
 *
 * Text crosses servers of other versions and architectures.  What it depends on,
 * the settings of the session, is the same wherever we make or read it: that of
 * pg_dump, and UTC.
 *
 * A key is a JSON array of the texts of its columns, so '["7"]' or
 * '["paris", "2026-01-01"]'.  An image is a JSON object of the texts of all other
 * columns, null for null.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "converge/row_text.h"
#include "core/attempt.h"
#include "crdt/json.h"

static const char *const canonical_settings[][2] = {
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "3"},
	{"search_path", "pg_catalog"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"xmloption", "content"},
};

static Datum input(ColumnRule *column, char *text);

/* A text that may be no value of its column */
typedef struct Parsing
{
	ColumnRule *column;
	const char *said;
	Datum		value;
} Parsing;

static bool try_parse(ColumnRule *column, const char *said, Datum *value);
static void parse(void *arg);

/*
 * From here on texts are canonical; to be given to row_text_settings_end().  An
 * error on the way restores the settings by itself.
 */
int
row_text_settings(void)
{
	int			nesting = NewGUCNestLevel();

	for (int i = 0; i < lengthof(canonical_settings); i++)
		(void) set_config_option(canonical_settings[i][0], canonical_settings[i][1],
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nesting;
}

void
row_text_settings_end(int nesting)
{
	AtEOXact_GUC(true, nesting);
}

/* A value that isn't null, while row_text_settings() hold. */
char *
row_text_output(ColumnRule *column, Datum value)
{
	return OutputFunctionCall(&column->output, value);
}

static Datum
input(ColumnRule *column, char *text)
{
	return InputFunctionCall(&column->input, text, column->ioparam, column->typmod);
}

/* A value that isn't null. */
char *
row_text_value(ColumnRule *column, Datum value)
{
	int			nesting;
	char	   *result;

	if (!column->depends_on_settings)
		return row_text_output(column, value);
	nesting = row_text_settings();
	result = row_text_output(column, value);
	row_text_settings_end(nesting);
	return result;
}

Datum
row_text_parse(ColumnRule *column, const char *text)
{
	int			nesting;
	Datum		result;

	if (!column->depends_on_settings)
		return input(column, unconstify(char *, text));
	nesting = row_text_settings();
	result = input(column, unconstify(char *, text));
	row_text_settings_end(nesting);
	return result;
}

/* The key of a row. */
char *
row_text_key(TableRules *rules, const Datum *values)
{
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < rules->nkeys; i++)
	{
		ColumnRule *column = &rules->columns[rules->keys[i] - 1];

		appendStringInfoString(&key, i == 0 ? "[" : ", ");
		escape_json(&key, row_text_value(column, values[column->number - 1]));
	}
	appendStringInfoChar(&key, ']');
	return key.data;
}

/* Set the columns of the key from its text. */
void
row_text_parse_key(TableRules *rules, const char *key, Datum *values)
{
	Jsonb	   *parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(key)));

	for (int i = 0; i < rules->nkeys; i++)
	{
		ColumnRule *column = &rules->columns[rules->keys[i] - 1];
		JsonbValue *value = JB_ROOT_IS_ARRAY(parsed) ? getIthJsonbValueFromContainer(&parsed->root, i) : NULL;

		if (JB_ROOT_COUNT(parsed) != rules->nkeys || value == NULL || value->type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid key of table %s: %s", rules->name, key),
					 errhint("A key is a JSON array of strings, one for each of the %d columns of the primary key.", rules->nkeys)));
		values[column->number - 1] =
			row_text_parse(column, pnstrdup(value->val.string.val, value->val.string.len));
	}
}

/* All columns but the key and the version. */
Jsonb *
row_text_image(TableRules *rules, const Datum *values, const bool *nulls)
{
	StringInfoData image;
	const char *separator = "";

	initStringInfo(&image);
	appendStringInfoChar(&image, '{');
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];

		if (column->rule == RULE_NOTHING || column->rule == RULE_KEY || column->rule == RULE_VERSION)
			continue;
		appendStringInfoString(&image, separator);
		escape_json(&image, column->name);
		appendStringInfoString(&image, ": ");
		if (nulls[i])
			appendStringInfoString(&image, "null");
		else
			escape_json(&image, row_text_value(column, values[i]));
		separator = ", ";
	}
	appendStringInfoChar(&image, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(image.data)));
}

/*
 * Set the columns that an image has, if they can be what it says.  Others, as those
 * that were added to the table since, or have another type now, are left.
 */
void
row_text_parse_image(TableRules *rules, Jsonb *image, Datum *values, bool *nulls)
{
	for (int i = 0; i < rules->ncolumns; i++)
	{
		ColumnRule *column = &rules->columns[i];
		JsonbValue	buffer;
		JsonbValue *value;

		if (column->rule == RULE_NOTHING || column->rule == RULE_KEY || column->rule == RULE_VERSION)
			continue;
		value = getKeyJsonValueFromContainer(&image->root, column->name, strlen(column->name), &buffer);
		if (value == NULL)
			continue;
		if (value->type == jbvString)
		{
			if (try_parse(column, pnstrdup(value->val.string.val, value->val.string.len), &values[i]))
				nulls[i] = false;
		}
		else if (!column->not_null)
			nulls[i] = true;
	}
}

/* False if it is no value of the column's type. */
static bool
try_parse(ColumnRule *column, const char *said, Datum *value)
{
	Parsing		parsing = {.column = column,.said = said};
	ErrorData  *error = attempt(parse, &parsing);

	if (error != NULL)
		ereport(LOG,
				(errmsg("a deleted row has a value that column \"%s\" can't have any more: %s", column->name, error->message)));
	else
		*value = parsing.value;
	return error == NULL;
}

static void
parse(void *arg)
{
	Parsing    *parsing = arg;

	parsing->value = row_text_parse(parsing->column, parsing->said);
}
