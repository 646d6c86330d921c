/*-------------------------------------------------------------------------
 *
 * row_version_json.c
 *	  Row version: how it is written as JSON.
 *
 *		{"length": 3, "seen": {"a": 3, "b": 1}, "deleted": {"a": 1},
 *		 "stamp": 7, "replica": "a", "event": 2,
 *		 "columns": {"name": {"stamp": 9, "replica": "b", "event": 1},
 *					 "creator": {"stamp": 1, "replica": "a", "event": 1, "first": true}},
 *		 "values": {"title": [{"value": "x", "stamp": 5, "dot": ["a", 3]}]}}
 *
 * Members that are empty are left out, and "length" if it is 1.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/row_version.h"

static void begin_member(StringInfo out, const char *name);
static void append_stamp(StringInfo out, WriteStamp write);
static void append_write(StringInfo out, WriteStamp write);
static void append_columns(StringInfo out, const RowVersion *version);
static void append_values(StringInfo out, const ColumnValues *column, const Vector *seen);
static WriteStamp demand_write(WriteStamp write);
static CrdtReader read_text(const JsonbValue *json);
static bool read_boolean(const JsonbValue *json);
static void read_columns(RowVersion *version, JsonbValue *json);
static ColumnStamp read_column(JsonbValue *json);
static void read_values(RowVersion *version, JsonbValue *json);
static ColumnValues read_column_values(const Vector *seen, JsonbValue *json);
static KeptValue read_value(const Vector *seen, JsonbValue *json);
static int	compare_column_names(const void *a, const void *b);
static int	compare_value_names(const void *a, const void *b);
static int	compare_places(const void *a, const void *b);

/* --- writing ------------------------------------------------------------- */

/* The name of the next member; out ends with what is before it. */
static void
begin_member(StringInfo out, const char *name)
{
	appendStringInfo(out, "%s\"%s\": ", out->data[out->len - 1] == '{' ? "" : ", ", name);
}

static void
append_stamp(StringInfo out, WriteStamp write)
{
	begin_member(out, "stamp");
	appendStringInfo(out, UINT64_FORMAT, write.stamp);
	begin_member(out, "replica");
	crdt_json_append_id(out, write.replica);
}

/* The same with the event, which says nothing to users. */
static void
append_write(StringInfo out, WriteStamp write)
{
	append_stamp(out, write);
	if (write.event > 0)
	{
		begin_member(out, "event");
		appendStringInfo(out, UINT64_FORMAT, write.event);
	}
}

void
row_version_to_json(StringInfo out, CrdtReader body, int depth)
{
	RowVersion	version = row_version_read_body(body);

	appendStringInfoChar(out, '{');
	if (version.length != 1)
	{
		begin_member(out, "length");
		appendStringInfo(out, UINT64_FORMAT, version.length);
	}
	if (version.seen.n > 0)
	{
		begin_member(out, "seen");
		vector_format(out, &version.seen);
	}
	if (version.deleted.n > 0)
	{
		begin_member(out, "deleted");
		vector_format(out, &version.deleted);
	}
	if (version.row.stamp > 0)
		append_write(out, version.row);
	if (version.ncolumns > 0)
		append_columns(out, &version);
	for (int i = 0; i < version.nvalues; i++)
	{
		if (i == 0)
			begin_member(out, "values");
		appendStringInfoString(out, i == 0 ? "{" : ", ");
		append_values(out, &version.values[i], &version.seen);
	}
	appendStringInfoString(out, version.nvalues > 0 ? "}}" : "}");
}

static void
append_columns(StringInfo out, const RowVersion *version)
{
	begin_member(out, "columns");
	for (int i = 0; i < version->ncolumns; i++)
	{
		appendStringInfoString(out, i == 0 ? "{" : ", ");
		crdt_json_append_string(out, &version->columns[i].name);
		appendStringInfoString(out, ": {");
		append_write(out, version->columns[i].write);
		if (version->columns[i].first)
		{
			begin_member(out, "first");
			appendStringInfoString(out, "true");
		}
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, '}');
}

/* A column's name and its values. */
static void
append_values(StringInfo out, const ColumnValues *column, const Vector *seen)
{
	crdt_json_append_string(out, &column->name);
	for (int i = 0; i < column->n; i++)
	{
		const KeptValue *value = &column->values[i];

		appendStringInfoString(out, i == 0 ? ": [{\"value\": " : ", {\"value\": ");
		if (value->isnull)
			appendStringInfoString(out, "null");
		else
			crdt_json_append_string(out, &value->value);
		appendStringInfo(out, ", \"stamp\": " UINT64_FORMAT ", \"dot\": [", value->write.stamp);
		crdt_json_append_id(out, seen->entries[value->dot.index].id);
		appendStringInfo(out, ", " UINT64_FORMAT "]}", value->dot.counter);
	}
	appendStringInfoChar(out, ']');
}

/* What users see: does the row exist, who wrote it last, and which columns have several values? */
void
row_version_value_to_json(StringInfo out, CrdtReader body, int depth)
{
	RowVersion	version = row_version_read_body(body);
	int			conflicts = 0;

	appendStringInfo(out, "{\"lives\": %s", row_version_lives(&version) ? "true" : "false");
	if (version.row.stamp > 0)
		append_stamp(out, version.row);
	for (int i = 0; i < version.nvalues; i++)
	{
		if (!row_version_has_conflict(&version.values[i]))
			continue;
		appendStringInfoString(out, conflicts++ == 0 ? ", \"conflicts\": [" : ", ");
		crdt_json_append_string(out, &version.values[i].name);
	}
	appendStringInfoString(out, conflicts > 0 ? "]}" : "}");
}

/* --- reading ------------------------------------------------------------- */

/* A write that must be there. */
static WriteStamp
demand_write(WriteStamp write)
{
	if (write.stamp == 0 || write.replica == 0)
		crdt_json_error("Members \"stamp\" and \"replica\" are both needed.");
	return write;
}

static CrdtReader
read_text(const JsonbValue *json)
{
	CrdtReader text;

	if (json->type != jbvString)
		crdt_json_error("A string or null is expected.");
	text.		at = (const uint8 *) json->val.string.val;
	text.		end = text.at + json->val.string.len;

	if (crdt_left(&text) > CRDT_MAX_ELEMENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("text in a CRDT would take more than %zu bytes", CRDT_MAX_ELEMENT)));
	return text;
}

static bool
read_boolean(const JsonbValue *json)
{
	if (json->type != jbvBool)
		crdt_json_error("A boolean is expected.");
	return json->val.boolean;
}

void
row_version_from_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	CrdtJsonMembers members = crdt_json_object(json);
	RowVersion	version = {.length = 1};
	JsonbValue	values;
	bool		has_values = false;

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "length"))
			version.length = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "seen"))
			version.seen = vector_parse(&members.value);
		else if (crdt_json_key_is(&members, "deleted"))
			version.deleted = vector_parse(&members.value);
		else if (crdt_json_key_is(&members, "stamp"))
			version.row.stamp = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "replica"))
			version.row.replica = crdt_json_id(&members.value);
		else if (crdt_json_key_is(&members, "event"))
			version.row.event = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "columns"))
			read_columns(&version, &members.value);
		else if (crdt_json_key_is(&members, "values"))
		{
			/* read once it is known what was seen */
			values = members.value;
			has_values = true;
		}
		else
			crdt_json_unknown_key(&members);
	}
	if (version.row.stamp > 0 || version.row.replica > 0 || version.row.event > 0)
		(void) demand_write(version.row);
	if (!vector_within(&version.deleted, &version.seen))
		crdt_json_error("What \"deleted\" counts must be in \"seen\".");
	if (has_values)
		read_values(&version, &values);
	row_version_write_body(out, &version);
}

static void
read_columns(RowVersion *version, JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);

	version->columns = palloc_extended(Max(JsonContainerSize(json->val.binary.data), 1) * sizeof(ColumnStamp),
									   MCXT_ALLOC_HUGE);
	while (crdt_json_next(&members))
	{
		ColumnStamp column = read_column(&members.value);

		column.name = read_text(&members.key);
		version->columns[version->ncolumns++] = column;
	}
	qsort(version->columns, version->ncolumns, sizeof(ColumnStamp), compare_column_names);
}

/* Read {"stamp": ..., "replica": ..., "event": ..., "first": ...}. */
static ColumnStamp
read_column(JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);
	ColumnStamp column = {{0}};

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "stamp"))
			column.write.stamp = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "replica"))
			column.write.replica = crdt_json_id(&members.value);
		else if (crdt_json_key_is(&members, "event"))
			column.write.event = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "first"))
			column.first = read_boolean(&members.value);
		else
			crdt_json_unknown_key(&members);
	}
	column.write = demand_write(column.write);
	return column;
}

static void
read_values(RowVersion *version, JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);

	version->values = palloc_extended(Max(JsonContainerSize(json->val.binary.data), 1) * sizeof(ColumnValues),
									  MCXT_ALLOC_HUGE);
	while (crdt_json_next(&members))
	{
		ColumnValues column = read_column_values(&version->seen, &members.value);

		column.name = read_text(&members.key);
		if (column.n > 0)
			version->values[version->nvalues++] = column;
	}
	qsort(version->values, version->nvalues, sizeof(ColumnValues), compare_value_names);
}

/* Read [{"value": ..., "stamp": ..., "dot": [...]}, ...]. */
static ColumnValues
read_column_values(const Vector *seen, JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_array(json);
	ColumnValues column = {{0}};

	column.values = palloc_extended(Max(JsonContainerSize(json->val.binary.data), 1) * sizeof(KeptValue),
									MCXT_ALLOC_HUGE);
	while (crdt_json_next(&members))
		column.values[column.n++] = read_value(seen, &members.value);
	qsort(column.values, column.n, sizeof(KeptValue), compare_places);
	for (int i = 1; i < column.n; i++)
	{
		if (column.values[i].dot.index == column.values[i - 1].dot.index)
			crdt_json_error("Replica \"%" INT64_MODIFIER "x\" has two values.", column.values[i].write.replica);
	}
	return column;
}

static KeptValue
read_value(const Vector *seen, JsonbValue *json)
{
	CrdtJsonMembers members = crdt_json_object(json);
	KeptValue	value = {{0}};
	bool		has_value = false;

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "value"))
		{
			has_value = true;
			value.isnull = members.value.type == jbvNull;
			if (!value.isnull)
				value.value = read_text(&members.value);
		}
		else if (crdt_json_key_is(&members, "stamp"))
			value.write.stamp = crdt_json_count(&members.value, 1);
		else if (crdt_json_key_is(&members, "dot"))
			value.dot = dots_from_json(seen, &members.value);
		else
			crdt_json_unknown_key(&members);
	}
	if (!has_value || value.write.stamp == 0 || value.dot.counter == 0)
		crdt_json_error("Members \"value\", \"stamp\" and \"dot\" are all needed.");
	value.write.replica = seen->entries[value.dot.index].id;
	value.write.event = value.dot.counter;
	return value;
}

static int
compare_column_names(const void *a, const void *b)
{
	return crdt_compare_bytes(&((const ColumnStamp *) a)->name, &((const ColumnStamp *) b)->name);
}

static int
compare_value_names(const void *a, const void *b)
{
	return crdt_compare_bytes(&((const ColumnValues *) a)->name, &((const ColumnValues *) b)->name);
}

static int
compare_places(const void *a, const void *b)
{
	int			index_a = ((const KeptValue *) a)->dot.index;
	int			index_b = ((const KeptValue *) b)->dot.index;

	return (index_a > index_b) - (index_a < index_b);
}
