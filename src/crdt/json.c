/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Elements of CRDTs, which are JSON values, and states written as JSON.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "crdt/crdt.h"
#include "crdt/json.h"

static void append_scalar(StringInfo out, const JsonbValue *value);
static void append_container(StringInfo out, JsonbContainer *container);
static CrdtJsonMembers open_members(JsonbValue *json, JsonbIteratorToken kind);

/* --- elements ------------------------------------------------------------ */

/*
 * crdt_element
 *		The canonical text of a JSON value, in the current memory context.
 *
 * Raises an error if it is too long.
 */
CrdtReader
crdt_element(JsonbValue *value)
{
	StringInfoData text;
	CrdtReader	element;

	initStringInfo(&text);
	if (value->type == jbvBinary)
		append_container(&text, value->val.binary.data);
	else
		append_scalar(&text, value);
	if (text.len > CRDT_MAX_ELEMENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("element of a CRDT would take more than %zu bytes", CRDT_MAX_ELEMENT)));
	element.at = (const uint8 *) text.data;
	element.end = element.at + text.len;

	return element;
}

CrdtReader
crdt_element_from_jsonb(Jsonb *jsonb)
{
	JsonbValue	value = crdt_json_value(jsonb);

	return crdt_element(&value);
}

Jsonb *
crdt_element_to_jsonb(const CrdtReader *element)
{
	char	   *text = pnstrdup((const char *) element->at, crdt_left(element));
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));

	pfree(text);
	return jsonb;
}

/* Raise an error unless the bytes are what crdt_element() makes. */
void
crdt_element_check(const CrdtReader *element)
{
	Jsonb	   *jsonb;
	CrdtReader	canonical;

	if (crdt_left(element) > CRDT_MAX_ELEMENT)
		crdt_corrupted("an element is too long");
	crdt_text_check(element);
	jsonb = crdt_element_to_jsonb(element);
	canonical = crdt_element_from_jsonb(jsonb);
	if (crdt_compare_bytes(element, &canonical) != 0)
		crdt_corrupted("an element isn't canonical JSON");
	pfree(unconstify(uint8 *, canonical.at));
	pfree(jsonb);
}

/* Raise an error unless the bytes are text in the database's encoding. */
void
crdt_text_check(const CrdtReader *text)
{
	if (crdt_left(text) > CRDT_MAX_ELEMENT ||
		!pg_verifymbstr((const char *) text->at, crdt_left(text), true))
		crdt_corrupted("a text isn't valid in the database's encoding");
}

static void
append_scalar(StringInfo out, const JsonbValue *value)
{
	char	   *text;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			/* without the zeros that jsonb keeps but doesn't count */
			text = numeric_normalize(value->val.numeric);

			appendStringInfoString(out, text);
			pfree(text);
			break;
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);

			escape_json(out, text);
			pfree(text);
			break;
		default:
			elog(ERROR, "unexpected type of JSON value: %d", (int) value->type);
	}
}

static void
append_container(StringInfo out, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	value;
	JsonbIteratorToken token;
	bool		is_scalar = JsonContainerIsScalar(container);

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		/* whatever follows a complete value is set off from it */
		if ((token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT || token == WJB_ELEM || token == WJB_KEY) &&
			out->len > 0 && strchr("[{:", out->data[out->len - 1]) == NULL)
			appendStringInfoChar(out, ',');
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				if (!is_scalar)
					appendStringInfoChar(out, '[');
				break;
			case WJB_END_ARRAY:
				if (!is_scalar)
					appendStringInfoChar(out, ']');
				break;
			case WJB_BEGIN_OBJECT:
				appendStringInfoChar(out, '{');
				break;
			case WJB_END_OBJECT:
				appendStringInfoChar(out, '}');
				break;
			case WJB_KEY:
				append_scalar(out, &value);
				appendStringInfoChar(out, ':');
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				append_scalar(out, &value);
				break;
			default:
				elog(ERROR, "unexpected token of JSON: %d", (int) token);
		}
	}
}

/* --- writing states as JSON ---------------------------------------------- */

/* Append a replica id as it is written everywhere: hexadecimal, quoted. */
void
crdt_json_append_id(StringInfo out, uint64 id)
{
	appendStringInfo(out, "\"%" INT64_MODIFIER "x\"", id);
}

/* Append text as a JSON string. */
void
crdt_json_append_string(StringInfo out, const CrdtReader *text)
{
	char	   *string = pnstrdup((const char *) text->at, crdt_left(text));

	escape_json(out, string);
	pfree(string);
}

/* --- reading states from JSON -------------------------------------------- */

/* The JSON isn't a state of the type. */
void
crdt_json_error(const char *detail,...)
{
	va_list		args;
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		int			needed;

		va_start(args, detail);
		needed = appendStringInfoVA(&text, detail, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("JSON doesn't describe a state of this type"),
			 errdetail("%s", text.data),
			 errhint("To begin a new value, write '{}'.")));
}

/* A whole jsonb, to be looked into. */
JsonbValue
crdt_json_value(Jsonb *jsonb)
{
	JsonbValue	value;

	value.type = jbvBinary;
	value.val.binary.data = &jsonb->root;
	value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	return value;
}

/* The members of a JSON object; an error if it is none. */
CrdtJsonMembers
crdt_json_object(JsonbValue *json)
{
	if (json->type != jbvBinary || !JsonContainerIsObject(json->val.binary.data))
		crdt_json_error("An object is expected.");
	return open_members(json, WJB_BEGIN_OBJECT);
}

/* The elements of a JSON array; an error if it is none. */
CrdtJsonMembers
crdt_json_array(JsonbValue *json)
{
	if (json->type != jbvBinary || !JsonContainerIsArray(json->val.binary.data) ||
		JsonContainerIsScalar(json->val.binary.data))
		crdt_json_error("An array is expected.");
	return open_members(json, WJB_BEGIN_ARRAY);
}

static CrdtJsonMembers
open_members(JsonbValue *json, JsonbIteratorToken kind)
{
	CrdtJsonMembers members;

	members.iterator = JsonbIteratorInit(json->val.binary.data);
	if (JsonbIteratorNext(&members.iterator, &members.value, false) != kind)
		elog(ERROR, "JSON doesn't begin as it should");
	return members;
}

/* Go on to the next member or element; false if there are no more. */
bool
crdt_json_next(CrdtJsonMembers *members)
{
	JsonbIteratorToken token = JsonbIteratorNext(&members->iterator, &members->value, true);

	if (token == WJB_KEY)
	{
		members->key = members->value;
		(void) JsonbIteratorNext(&members->iterator, &members->value, true);
		return true;
	}
	return token == WJB_ELEM;
}

bool
crdt_json_key_is(const CrdtJsonMembers *members, const char *name)
{
	return members->key.val.string.len == strlen(name) &&
		memcmp(members->key.val.string.val, name, members->key.val.string.len) == 0;
}

/* No state of the type has this member. */
void
crdt_json_unknown_key(const CrdtJsonMembers *members)
{
	crdt_json_error("Member \"%.*s\" is unknown.",
					pg_mbcliplen(members->key.val.string.val, members->key.val.string.len, 64),
					members->key.val.string.val);
}

/* An integer that may be negative. */
int64
crdt_json_int64(const JsonbValue *value)
{
	Datum		number;
	bool		is_integer;

	if (value->type != jbvNumeric)
		crdt_json_error("An integer is expected.");
	number = NumericGetDatum(value->val.numeric);
	is_integer = DatumGetBool(DirectFunctionCall2(numeric_eq, number,
												  DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0))));
	if (!is_integer)
		crdt_json_error("An integer is expected.");
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

/* An integer from least to CRDT_MAX_COUNT. */
uint64
crdt_json_count(const JsonbValue *value, uint64 least)
{
	int64		count = crdt_json_int64(value);

	if (count < (int64) least)
		crdt_json_error("An integer of at least %d is expected.", (int) least);
	return (uint64) count;
}

/* A replica id, in hexadecimal. */
uint64
crdt_json_id(const JsonbValue *value)
{
	if (value->type != jbvString)
		crdt_json_error("A replica id is expected.");
	return crdt_parse_id(value->val.string.val, value->val.string.len, NULL);
}

/* Read 1 to 16 hexadecimal digits, not all of them 0; false if it is something else. */
bool
crdt_try_parse_id(const char *text, int len, uint64 *id)
{
	*id = 0;
	if (len > 16)
		return false;
	for (int i = 0; i < len; i++)
	{
		char		c = pg_ascii_tolower((unsigned char) text[i]);

		if (c >= '0' && c <= '9')
			*id = *id << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			*id = *id << 4 | (c - 'a' + 10);
		else
			return false;
	}
	return *id != 0;
}

/* The same, or an error, with a hint unless that is NULL. */
uint64
crdt_parse_id(const char *text, int len, const char *hint)
{
	uint64		id;

	if (!crdt_try_parse_id(text, len, &id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid replica id \"%.*s\"", pg_mbcliplen(text, len, 64), text),
				 errdetail("A replica id is 1 to 16 hexadecimal digits, not all of them 0."),
				 hint == NULL ? 0 : errhint("%s", hint)));
	return id;
}
