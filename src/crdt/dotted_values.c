/*-------------------------------------------------------------------------
 *
 * dotted_values.c
 *	  Values of which several stand side by side if they were set concurrently:
 *	  what multi-value registers and flags are made of.
 *
 * See Almeida, Shoker, Baquero 2018: these are dot stores under a causal context
 * that is a version vector; registers and flags are in their section 7.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/crdt.h"
#include "crdt/dotted_values.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"

/* A value in JSON, with its dot. */
typedef struct JsonDottedValue
{
	Dot			dot;
	JsonbValue	value;
} JsonDottedValue;

static void append_value(CrdtBuffer *out, Dot dot, const CrdtReader *value, DottedKind kind);
static void check_value(const CrdtReader *value, DottedKind kind);
static void write_value(StringInfo out, const CrdtReader *value, DottedKind kind);
static JsonDottedValue read_value(JsonbValue *json, const Vector *vector);
static void read_values(CrdtBuffer *out, JsonbValue *json, const Vector *vector, DottedKind kind);
static int	compare_places(const void *a, const void *b);
static void append_json_value(CrdtBuffer *out, JsonDottedValue *value, DottedKind kind);

/* --- reading ------------------------------------------------------------- */

/* The body of which nothing is known yet: a vector without entries. */
CrdtReader
dotted_nothing(void)
{
	static const uint8 empty[] = {0};
	CrdtReader	body = {empty, empty + lengthof(empty)};

	return body;
}

DottedCursor
dotted_open(CrdtReader body, DottedKind kind)
{
	DottedCursor cursor;

	cursor.kind = kind;
	cursor.rest = body;
	cursor.vector = dots_read_vector(&cursor.rest);
	return cursor;
}

/* Is this among the values of a flag? */
bool
dotted_has(CrdtReader body, bool value)
{
	DottedCursor cursor = dotted_open(body, DOTTED_BOOLEAN);

	while (dotted_next(&cursor))
	{
		if ((*cursor.current.value.at != 0) == value)
			return true;
	}
	return false;
}

static void
check_value(const CrdtReader *value, DottedKind kind)
{
	if (kind == DOTTED_JSON)
		crdt_element_check(value);
	else if (*value->at > 1 || (kind == DOTTED_TRUE && *value->at == 0))
		crdt_corrupted("a flag's value is out of range");
}

void
dotted_check(CrdtReader body, DottedKind kind)
{
	Vector		vector = vector_read_checked(&body);
	Dot			last = {-1, 0};

	while (!crdt_at_end(&body))
	{
		uint64		size = 1;
		CrdtReader	value;

		dots_check(&vector, &body, &last);
		if (kind == DOTTED_JSON)
			size = crdt_read_minimal_varint(&body);
		value = crdt_read_bytes(&body, size);
		check_value(&value, kind);
	}
	pfree(vector.entries);
}

/* --- changing ------------------------------------------------------------ */

static void
append_value(CrdtBuffer *out, Dot dot, const CrdtReader *value, DottedKind kind)
{
	crdt_reserve(out, DOT_MAX_SIZE + CRDT_VARINT_SIZE + crdt_left(value));
	dots_put(out, dot);
	if (kind == DOTTED_JSON)
		crdt_put_varint(out, crdt_left(value));
	crdt_put_bytes(out, value->at, crdt_left(value));
}

/* Append the body after this replica has set a value. */
void
dotted_assign(CrdtBuffer *out, CrdtReader body, DottedKind kind, const CrdtReader *value)
{
	DotsVector	vector = dots_read_vector(&body);
	DotsEvent	event = dots_add_event(out, &vector, replica_id_own());

	append_value(out, event.dot, value, kind);
}

/* Append the body without any value: what was seen is undone. */
void
dotted_reset(CrdtBuffer *out, CrdtReader body)
{
	DotsVector	vector = dots_read_vector(&body);

	dots_append_vector(out, &vector);
}

/* Append the least upper bound of two bodies. */
void
dotted_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b, DottedKind kind)
{
	DottedCursor at_a = dotted_open(a, kind),
				at_b = dotted_open(b, kind);
	DotsJoin	join;
	bool		more_a,
				more_b;

	dots_join(out, &join, &at_a.vector, &at_b.vector);
	more_a = dotted_next(&at_a);
	more_b = dotted_next(&at_b);
	while (more_a || more_b)
	{
		Dot			dot_a = {0},
					dot_b = {0};
		bool		takes_a,
					takes_b,
					keeps_a,
					keeps_b;

		if (more_a)
			dot_a = dots_place(&join.a, at_a.current.dot);
		if (more_b)
			dot_b = dots_place(&join.b, at_b.current.dot);
		takes_a = more_a && (!more_b || dot_a.index <= dot_b.index);
		takes_b = more_b && (!more_a || dot_b.index <= dot_a.index);
		if (takes_a && takes_b && dot_a.counter == dot_b.counter)
		{
			keeps_a = crdt_compare_bytes(&at_a.current.value, &at_b.current.value) >= 0;
			keeps_b = !keeps_a;
		}
		else
		{
			keeps_a = takes_a && dots_survives(&join.a, at_a.current.dot);
			keeps_b = takes_b && !keeps_a && dots_survives(&join.b, at_b.current.dot);
		}
		if (keeps_a)
			append_value(out, dot_a, &at_a.current.value, kind);
		if (keeps_b)
			append_value(out, dot_b, &at_b.current.value, kind);
		if (takes_a)
			more_a = dotted_next(&at_a);
		if (takes_b)
			more_b = dotted_next(&at_b);
	}
	dots_join_end(&join);
}

/* --- JSON ---------------------------------------------------------------- */

static void
write_value(StringInfo out, const CrdtReader *value, DottedKind kind)
{
	if (kind == DOTTED_JSON)
		appendBinaryStringInfo(out, (const char *) value->at, crdt_left(value));
	else
		appendStringInfoString(out, *value->at != 0 ? "true" : "false");
}

void
dotted_to_json(StringInfo out, CrdtReader body, DottedKind kind)
{
	Vector		vector = vector_read(&body);
	int			n;

	appendStringInfoChar(out, '{');
	if (vector.n > 0)
	{
		appendStringInfoString(out, "\"clock\": ");
		vector_format(out, &vector);
	}
	for (n = 0; !crdt_at_end(&body); n++)
	{
		Dot			dot = dots_read(&body, vector.n);
		CrdtReader	value = crdt_read_bytes(&body, kind == DOTTED_JSON ? crdt_read_varint(&body) : 1);

		appendStringInfoString(out, n > 0 ? ", {\"value\": " : ", \"values\": [{\"value\": ");
		write_value(out, &value, kind);
		appendStringInfoString(out, ", \"dot\": [");
		crdt_json_append_id(out, vector.entries[dot.index].id);
		appendStringInfo(out, ", " UINT64_FORMAT "]}", dot.counter);
	}
	appendStringInfoString(out, n > 0 ? "]}" : "}");
	pfree(vector.entries);
}

void
dotted_from_json(CrdtBuffer *out, JsonbValue *json, DottedKind kind)
{
	CrdtJsonMembers members = crdt_json_object(json);
	JsonbValue	values;
	Vector		vector = {0};
	bool		has_values = false;

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "clock"))
			vector = vector_parse(&members.value);
		else if (crdt_json_key_is(&members, "values"))
		{
			values = members.value;
			has_values = true;
		}
		else
			crdt_json_unknown_key(&members);
	}
	vector_write(out, &vector);
	if (has_values)
		read_values(out, &values, &vector, kind);
}

/* Append the values of a JSON array. */
static void
read_values(CrdtBuffer *out, JsonbValue *json, const Vector *vector, DottedKind kind)
{
	CrdtJsonMembers members = crdt_json_array(json);
	int			n = JsonContainerSize(json->val.binary.data);
	JsonDottedValue *values = palloc_extended(Max(n, 1) * sizeof(JsonDottedValue), MCXT_ALLOC_HUGE);

	for (int i = 0; crdt_json_next(&members); i++)
		values[i] = read_value(&members.value, vector);
	qsort(values, n, sizeof(JsonDottedValue), compare_places);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && values[i].dot.index == values[i - 1].dot.index)
			crdt_json_error("Replica \"%" INT64_MODIFIER "x\" has two values.",
							vector->entries[values[i].dot.index].id);
		append_json_value(out, &values[i], kind);
	}
	pfree(values);
}

static int
compare_places(const void *a, const void *b)
{
	int			index_a = ((const JsonDottedValue *) a)->dot.index;
	int			index_b = ((const JsonDottedValue *) b)->dot.index;

	return (index_a > index_b) - (index_a < index_b);
}

/* Read {"value": ..., "dot": [...]}. */
static JsonDottedValue
read_value(JsonbValue *json, const Vector *vector)
{
	CrdtJsonMembers members = crdt_json_object(json);
	JsonDottedValue result;
	bool		has_value = false,
				has_dot = false;

	while (crdt_json_next(&members))
	{
		if (crdt_json_key_is(&members, "value"))
		{
			result.value = members.value;
			has_value = true;
		}
		else if (crdt_json_key_is(&members, "dot"))
		{
			result.dot = dots_from_json(vector, &members.value);
			has_dot = true;
		}
		else
			crdt_json_unknown_key(&members);
	}
	if (!has_value || !has_dot)
		crdt_json_error("Members \"value\" and \"dot\" are both needed.");
	return result;
}

static void
append_json_value(CrdtBuffer *out, JsonDottedValue *value, DottedKind kind)
{
	CrdtReader	bytes;
	uint8		flag;

	if (kind == DOTTED_JSON)
	{
		bytes = crdt_element(&value->value);
		append_value(out, value->dot, &bytes, kind);
		pfree(unconstify(uint8 *, bytes.at));
		return;
	}
	if (value->value.type != jbvBool)
		crdt_json_error("A boolean is expected.");
	flag = value->value.val.boolean ? 1 : 0;
	if (kind == DOTTED_TRUE && flag == 0)
		crdt_json_error("This flag holds no false: it is off when no one has switched it on.");
	bytes.at = &flag;
	bytes.end = &flag + 1;
	append_value(out, value->dot, &bytes, kind);
}
