/*-------------------------------------------------------------------------
 *
 * elements.c
 *	  JSON values and keys to put into CRDTs.
 *
 * The canonical forms were written by hand, from docs/crdt-format.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "elements.h"

#define SAME(text) {text, {text, text, text}}

#define TIMES_10(text) text text text text text text text text text text
#define LONG "\"" TIMES_10("a string that is long enough for a set with it to be kept otherwise than small " \
	"ones are while it is being changed, so that this is tried, too; it needn't be longer, as otherwise most of the " \
	"time would be spent with it, ") "\""

const Element elements[] = {
	{"1", {"1", "1.0", "1e0"}},
	{"\"1\"", {"\"1\"", "\"\\u0031\"", " \"1\" "}},
	{"0", {"0", "-0", "0.000"}},
	{"100", {"100", "1e2", "100.00"}},
	{"-0.5", {"-0.5", "-0.50", "-5e-1"}},
	{"12345678901234567890.5", {"12345678901234567890.5", "12345678901234567890.500", "123456789012345678905e-1"}},
	SAME("null"),
	SAME("true"),
	SAME("false"),
	SAME("\"\""),
	SAME("\"x\""),
	SAME("\"X\""),
	SAME("\"xy\""),
	{"\"\303\251\"", {"\"\303\251\"", "\"\\u00e9\"", "\"\\u00E9\""}},
	{"\"\360\237\230\200\"", {"\"\360\237\230\200\"", "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""}},
	{"\"/\\\"\\\\\\n\\t\"", {"\"/\\\"\\\\\\n\\t\"", "\"\\/\\\"\\\\\\u000a\\u0009\"", "\"\\u002f\\u0022\\u005c\\n\\t\""}},
	{"\"\\u0001\177\"", {"\"\\u0001\177\"", "\"\\u0001\\u007f\"", "\"\\u0001\177\""}},
	{"[]", {"[]", "[ ]", "[\n]"}},
	{"{}", {"{}", "{ }", "{\t}"}},
	{"[[]]", {"[[]]", "[ [ ] ]", "[[] ]"}},
	{"[1,\"a\",null]", {"[1,\"a\",null]", "[1.0, \"a\", null]", "[ 1e0,\"\\u0061\",null ]"}},
	{"{\"a\":1}", {"{\"a\":1}", "{\"a\": 1.0}", "{\"a\":2,\"a\":1}"}},
	{"{\"b\":[2],\"aa\":{\"c\":0.1}}", {"{\"b\":[2],\"aa\":{\"c\":0.1}}", "{\"aa\": {\"c\": 0.10}, \"b\": [2.0]}", "{\"aa\":1,\"b\":[2],\"aa\":{\"c\":1e-1}}"}},
	SAME(LONG),
	{"\"a long string, longer than what a single byte of a length can say, which is one hundred and twenty-seven bytes, as everybody knows.\"",
		{"\"a long string, longer than what a single byte of a length can say, which is one hundred and twenty-seven bytes, as everybody knows.\"",
			" \"a long string, longer than what a single byte of a length can say, which is one hundred and twenty-seven bytes, as everybody knows.\"",
	"\"a long string, longer than what a single byte of a length can say, which is one hundred and twenty-seven bytes, as everybody knows\\u002e\""}},
};

const int	elements_count = lengthof(elements);

/* The one that is much longer than all others. */
int
elements_long(void)
{
	for (int i = 0; i < elements_count; i++)
	{
		if (strlen(elements[i].canonical) > 2048)
			return i;
	}
	return 0;
}

const char *const element_keys[] = {
	"k", "K", "key", "", "\303\251", "a \"quoted\" \\ key", "k2",
};

const int	element_keys_count = lengthof(element_keys);

/* The order of two elements in states. */
int
elements_compare(int a, int b)
{
	return strcmp(elements[a].canonical, elements[b].canonical);
}
