/*-------------------------------------------------------------------------
 *
 * mutate.c
 *	  Bad states out of good ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "corpus.h"

/* at most so many changes to one input */
#define CHANGES 4

/* what is written over numbers */
static const char *const bad_bytes[] = {
	"\x80", "\xff", "\x7f", "\x01", "\x02",
	"\xff\xff\xff\xff\x0f", "\xff\xff\xff\xff\x07", "\x80\x80\x80\x80\x10",
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x80\x01", "\xff\xff\x03",
	"\x81\x80", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
};

static const char *const words[] = {
	"{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "false", "0", "1", "-1", "1.5", "1e400",
	"-0", "1e-400", "9223372036854775807", "9223372036854775808", "18446744073709551616",
	"\"\\u0000\"", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\u00e9\"", "\"ffffffffffffffff\"", "\"0\"",
	"\"10000000000000000\"", "\"g\"", "\"\"", "{}", "[]", "[[]]", "{\"a\":1}", "\"a\"", "\"A\"", "\"0a\"",
	"\"inc\"", "\"dec\"", "\"inc_reset\"", "\"dec_reset\"", "\"bound\"", "\"replicas\"", "\"created\"",
	"\"consumed\"", "\"transferred\"", "\"value\"", "\"stamp\"", "\"replica\"", "\"clock\"", "\"values\"",
	"\"dot\"", "\"added\"", "\"removed\"", "\"elements\"", "\"dots\"", "\"entries\"", "\"key\"", "\"type\"",
	"\"state\"", "\"pncounter\"", "\"orset\"", "\"ormap\"", "\"gset\"", "\"mv_register\"", "\"lww_register\"",
	"\"ew_flag\"", "\"dw_flag\"", "\"vclock\"", "\"row_version\"", "\"nothing\"",
	"\"length\"", "\"seen\"", "\"deleted\"", "\"columns\"", "\"first\"", "\"event\"",
	"{\"clock\": {\"a\": 1}, \"entries\": [{\"key\": \"k\", \"type\": \"ormap\", \"dots\": {\"a\": 1}, \"state\": {}}]}",
	" ", "\t", "\303\251", "\360\237\230\200",
};

static void splice(StringInfo bytes, int at, int removed, const char *added, int size);
static void change_bytes(Random *random, StringInfo bytes, const Bytes *other);
static void change_text(Random *random, StringInfo json, const Bytes *other);
static void nest_deeply(Random *random, StringInfo json);
static int	token_at(const StringInfo json, int at, int *size);
static void nest_map(Random *random, StringInfo bytes, int begin);
static void repeat_counted(Random *random, StringInfo bytes, int begin);
static Bytes mutate(Random *random, const Bytes *inputs, int n, bool is_text, int begin);

/* Put bytes where others were. */
static void
splice(StringInfo bytes, int at, int removed, const char *added, int size)
{
	StringInfoData result;

	removed = Min(removed, bytes->len - at);
	initStringInfo(&result);
	appendBinaryStringInfo(&result, bytes->data, at);
	appendBinaryStringInfo(&result, added, size);
	appendBinaryStringInfo(&result, bytes->data + at + removed, bytes->len - at - removed);
	*bytes = result;
}

/* Change bytes that mean no text. */
static void
change_bytes(Random *random, StringInfo bytes, const Bytes *other)
{
	int			at = random_below(random, bytes->len + 1);
	int			size = random_between(random, 1, random_chance(random, 70) ? 3 : 20);
	const char *bad = bad_bytes[random_below(random, lengthof(bad_bytes))];
	char		byte = (char) random_bits(random);
	int			from;

	switch (random_below(random, 9))
	{
		case 0:
			if (at < bytes->len)
				bytes->data[at] ^= 1 << random_below(random, 8);
			break;
		case 1:
			if (at < bytes->len)
				bytes->data[at] += random_chance(random, 50) ? 1 : -1;
			break;
		case 2:
			splice(bytes, at, random_below(random, 2), &byte, 1);
			break;
		case 3:
			splice(bytes, at, size, "", 0);
			break;
		case 4:
			size = Min(size, bytes->len - at);
			splice(bytes, at, 0, bytes->data + at, size);
			break;
		case 5:
			splice(bytes, at, random_below(random, 3), bad, strlen(bad));
			break;
		case 6:
			splice(bytes, at, bytes->len, "", 0);
			break;
		case 7:
			from = random_below(random, other->size + 1);
			splice(bytes, at, random_chance(random, 50) ? size : 0, other->data + from, Min(size, other->size - from));
			break;
		case 8:
			from = random_below(random, other->size + 1);
			splice(bytes, at, bytes->len, other->data + from, other->size - from);
			break;
	}
}

/* A token, or what is like one, of JSON text: where it begins, and its size. */
static int
token_at(const StringInfo json, int at, int *size)
{
	int			end;

	while (at > 0 && strchr("{}[],: \"", json->data[at]) == NULL)
		at--;
	end = at + 1;
	while (end < json->len && strchr("{}[],: \"", json->data[end]) == NULL)
		end++;
	if (end < json->len && json->data[at] == '"' && json->data[end] == '"')
		end++;
	*size = Min(end, json->len) - at;
	return at;
}

/* Change text so that it often stays JSON. */
static void
change_text(Random *random, StringInfo json, const Bytes *other)
{
	int			at = random_below(random, json->len + 1);
	const char *word = words[random_below(random, lengthof(words))];
	int			size;

	switch (random_below(random, 6))
	{
		case 0:
		case 1:
			at = token_at(json, at, &size);
			splice(json, at, size, word, strlen(word));
			break;
		case 2:
			splice(json, at, 0, word, strlen(word));
			break;
		case 3:
			at = token_at(json, at, &size);
			splice(json, at, size, "", 0);
			break;
		case 4:
			if (at < json->len && json->data[at] >= '0' && json->data[at] <= '9')
				json->data[at] = '0' + random_below(random, 10);

			break;
		case 5:
			change_bytes(random, json, other);
			break;
	}
}

/* Much more deeply than anything is allowed to be. */
static void
nest_deeply(Random *random, StringInfo json)
{
	const char *opening = random_chance(random, 50) ? "[" : random_chance(random, 50) ? "{\"a\":" :
	"{\"clock\":{\"a\":1},\"entries\":[{\"key\":\"k\",\"type\":\"ormap\",\"dots\":{\"a\":1},\"state\":";
	int			depth = random_chance(random, 90) ? random_between(random, 2, 40) : random_between(random, 1000, 20000);
	StringInfoData deep;

	initStringInfo(&deep);
	for (int i = 0; i < depth; i++)
		appendStringInfoString(&deep, opening);
	appendBinaryStringInfo(&deep, json->data, json->len);
	for (int i = 0; i < depth; i++)
		appendStringInfoString(&deep, opening[0] == '[' ? "]" : strlen(opening) > 5 ? "}]}" : "}");
	*json = deep;
}

/* Put a map into maps, one within the other; the state's bytes begin somewhere. */
static void
nest_map(Random *random, StringInfo bytes, int begin)
{
	/*
	 * of format 1, a map, whose clock has one entry; one entry "k", a map,
	 * with one dot
	 */
	static const char before[] = "\1\13" "\1\0\0\0\0\0\0\0\12\1" "\1\1k\13" "\1\0\1";
	int			depth = random_chance(random, 90) ? random_between(random, 1, 24) : random_between(random, 1000, 5000);

	if (bytes->len < begin + 2 || bytes->data[begin + 1] != before[1])
		return;
	while (depth-- > 0)
	{
		StringInfoData map;

		initStringInfo(&map);
		appendBinaryStringInfo(&map, bytes->data, begin);
		appendBinaryStringInfo(&map, before, sizeof(before) - 1);
		for (int rest = bytes->len - begin - 2;; rest >>= 7)
		{
			appendStringInfoCharMacro(&map, (char) (rest < 0x80 ? rest : (rest | 0x80)));
			if (rest < 0x80)
				break;
		}
		appendBinaryStringInfo(&map, bytes->data + begin + 2, bytes->len - begin - 2);
		pfree(bytes->data);
		*bytes = map;
	}
}

/*
 * Repeat what may be an element, its length ahead of it and a few bytes behind,
 * and count it where the number of elements may be.
 */
static void
repeat_counted(Random *random, StringInfo bytes, int begin)
{
	int			at = random_below(random, bytes->len + 1);
	int			size = at < bytes->len ? 1 + (uint8) bytes->data[at] : 0;
	int			number = begin + 2 + (random_chance(random, 50) ? 0 : random_below(random, 14));

	if (random_chance(random, 50))
		size += random_below(random, 4);
	if (number < bytes->len)
		bytes->data[number]++;
	size = Min(size, bytes->len - at);
	splice(bytes, at, 0, bytes->data + at, size);
}

/* Text, or bytes of which the state's own begin somewhere. */
static Bytes
mutate(Random *random, const Bytes *inputs, int n, bool is_text, int begin)
{
	const Bytes *input = &inputs[random_below(random, n)];
	int			changes = random_chance(random, 60) ? 1 : random_between(random, 1, CHANGES);
	StringInfoData bytes;
	Bytes		result;

	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, input->data, input->size);
	for (int i = 0; i < changes; i++)
	{
		const Bytes *other = &inputs[random_below(random, n)];
		int			roll = random_below(random, 200);

		if (is_text && roll == 0)
			nest_deeply(random, &bytes);
		else if (is_text)
			change_text(random, &bytes, other);
		else if (roll == 0)
			nest_map(random, &bytes, begin);
		else if (roll < 10)
			repeat_counted(random, &bytes, begin);
		else
			change_bytes(random, &bytes, other);
	}
	result.data = bytes.data;
	result.size = bytes.len;
	return result;
}

/* A state that is hardly good any more, as bytes, of which it begins somewhere. */
Bytes
mutate_bytes(Random *random, const Bytes *inputs, int n, int begin)
{
	return mutate(random, inputs, n, false, begin);
}

/* The same as text, which a server would let pass: it is in its encoding, and without NUL. */
Bytes
mutate_text(Random *random, const Bytes *inputs, int n)
{
	Bytes		result = mutate(random, inputs, n, true, 0);

	if (!pg_verifymbstr(result.data, result.size, true))
	{
		for (int i = 0; i < result.size; i++)
		{
			if (result.data[i] == '\0' || IS_HIGHBIT_SET(result.data[i]))
				result.data[i] = 'x';
		}
	}
	return result;
}
