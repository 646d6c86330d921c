/*-------------------------------------------------------------------------
 *
 * hint.c
 *	  What a comment before or after a statement says of its consistency.
 *
 * The form is sqlcommenter's, which ORMs and tracing write already:
 *
 *		SELECT ... / *consistency='bounded',max_staleness='500ms'* /
 *
 * (without the spaces): key='value' with commas between, keys and values
 * URL-encoded, a quote within a value as \'.  The other keys that are ours are
 * max_lag, on_timeout, wait_timeout and read_quorum; all others, such as traceparent, are
 * other people's.  A comment without the key consistency isn't ours at all,
 * and "/ *+" belongs to pg_hint_plan.
 *
 * Only a comment before a statement's first token or behind its last one
 * counts, also behind the semicolon if nothing follows.  What lies between two
 * statements goes with the second.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "mb/pg_wchar.h"
#include "utils/guc.h"

#include "session/hint.h"
#include "session/lexer.h"
#include "session/quorum.h"

typedef enum HintKey
{
	KEY_LEVEL,
	KEY_MAX_STALENESS,
	KEY_MAX_LAG,
	KEY_ON_TIMEOUT,
	KEY_WAIT_TIMEOUT,
	KEY_READ_QUORUM,
	NUM_HINT_KEYS
} HintKey;

static const char *const key_names[NUM_HINT_KEYS] = {
	[KEY_LEVEL] = "consistency",
	[KEY_MAX_STALENESS] = "max_staleness",
	[KEY_MAX_LAG] = "max_lag",
	[KEY_ON_TIMEOUT] = "on_timeout",
	[KEY_WAIT_TIMEOUT] = "wait_timeout",
	[KEY_READ_QUORUM] = "read_quorum"
};

static int	read_comments(const char *query, int start, int end, Hint *hint);
static bool read_comment(const char *start, const char *end, Hint *hint);
static bool read_pairs(const char *at, const char *end, char **values);
static char *read_key(const char **at, const char *end);
static char *read_value(const char **at, const char *end);
static char *decode(const char *start, const char *end, bool escapes);
static const char *skip_blanks(const char *at, const char *end);
static bool has_key(const char *start, const char *end);
static void fill_hint(char **values, Hint *hint);
static int	number_value(char **values, HintKey key, int minimum, int unit);

/* The rest of hint_of_statement(). */
bool
hint_search(const char *query, int location, int length, Hint *hint)
{
	StatementRegion region = {0};
	int			count;

	if (!lexer_find_statement(query, location, length, &region))
		return false;
	count = read_comments(query, region.start, region.first, hint) +
		read_comments(query, region.last, region.end, hint);
	if (count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a statement has more than one consistency hint"),
				 errhint("Keep one of the comments before and after the statement.")));
	return count == 1;
}

/* Read the hints in a stretch without statements.  Returns their number. */
static int
read_comments(const char *query, int start, int end, Hint *hint)
{
	Lexer		lexer = lexer_start(query, start, end);
	Token		token;
	int			count = 0;

	while ((token = lexer_next(&lexer)).kind != TOKEN_END)
	{
		if (token.kind == TOKEN_COMMENT && token.end - token.start >= 4 &&
			read_comment(query + token.start + 2, query + token.end - 2, hint))
			count++;
	}
	return count;
}

/* Read a comment, of which the delimiters are left out; false if it's no hint. */
static bool
read_comment(const char *start, const char *end, Hint *hint)
{
	char	   *values[NUM_HINT_KEYS] = {NULL};

	if (*start == '+' || !has_key(start, end))
		return false;
	if (!read_pairs(start, end, values) || values[KEY_LEVEL] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("can't read the consistency hint \"%.*s\"", (int) (end - start), start),
				 errhint("Write it as consistency='bounded',max_staleness='500ms': each key once, each value in quotes, commas between.")));
	fill_hint(values, hint);
	return true;
}

/*
 * Has it our key, at its begin or after a comma?  What merely speaks of it in
 * prose is no hint; what doesn't but has a mistake should be noticed.
 */
static bool
has_key(const char *start, const char *end)
{
	bool		expected = true;	/* might a key begin here? */

	for (const char *at = start; at + strlen(HINT_KEY) <= end; at++)
	{
		if (expected && strncmp(at, HINT_KEY, strlen(HINT_KEY)) == 0)
			return true;
		expected = *at == ',' || (expected && lexer_is_space(*at));
	}
	return false;
}

/* Read key='value', ...: keep the values of our keys; false if it can't be read. */
static bool
read_pairs(const char *at, const char *end, char **values)
{
	for (;;)
	{
		char	   *key;
		char	   *value;

		if ((key = read_key(&at, end)) == NULL ||
			(value = read_value(&at, end)) == NULL)
			return false;
		for (int i = 0; i < NUM_HINT_KEYS; i++)
		{
			if (strcmp(key, key_names[i]) != 0)
				continue;
			if (values[i] != NULL || !pg_verifymbstr(value, strlen(value), true))
				return false;
			values[i] = value;
		}
		at = skip_blanks(at, end);
		if (at == end)
			return true;
		if (*at++ != ',')
			return false;
	}
}

/* Read a key and the '=' behind it; NULL if there is none. */
static char *
read_key(const char **at, const char *end)
{
	const char *start = skip_blanks(*at, end);
	const char *stop = start;

	while (stop < end && strchr("=,'", *stop) == NULL && !lexer_is_space(*stop))
		stop++;
	if (stop == start || stop == end || *stop != '=')
		return NULL;
	*at = stop + 1;
	return decode(start, stop, false);
}

/* Read a value in quotes; NULL if there is none. */
static char *
read_value(const char **at, const char *end)
{
	const char *start = *at + 1;
	const char *stop = start;

	if (*at == end || **at != '\'')
		return NULL;
	while (stop < end && *stop != '\'')
		stop += *stop == '\\' ? 2 : 1;
	if (stop >= end)
		return NULL;
	*at = stop + 1;
	return decode(start, stop, true);
}

/* Decode %XX, and drop the backslashes of escapes. */
static char *
decode(const char *start, const char *end, bool escapes)
{
	char	   *result = palloc(end - start + 1);
	char	   *to = result;

	for (const char *from = start; from < end; from++)
	{
		if (escapes && *from == '\\' && from + 1 < end)
			*to++ = *++from;
		else if (*from == '%' && end - from > 2 &&
				 isxdigit((unsigned char) from[1]) && isxdigit((unsigned char) from[2]))
		{
			char		digits[3] = {from[1], from[2], '\0'};

			*to++ = (char) strtol(digits, NULL, 16);
			from += 2;
		}
		else
			*to++ = *from;
	}
	*to = '\0';
	return result;
}

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && lexer_is_space(*at))
		at++;
	return at;
}

/* Fill *hint from the values, NULL where nothing was said. */
static void
fill_hint(char **values, Hint *hint)
{
	hint->level = level_parse(values[KEY_LEVEL]);
	if (hint->level == LEVEL_UNSET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid consistency level \"%s\" in a hint", values[KEY_LEVEL]),
				 errhint("Levels are linearizable, sequential, causal, bounded, session, eventual and weak.")));
	hint->max_staleness_ms = number_value(values, KEY_MAX_STALENESS, 0, GUC_UNIT_MS);
	hint->max_lag = number_value(values, KEY_MAX_LAG, 0, GUC_UNIT_BYTE);
	hint->wait_timeout_ms = number_value(values, KEY_WAIT_TIMEOUT, 1, GUC_UNIT_MS);
	if ((hint->max_staleness_ms >= 0 || hint->max_lag >= 0) && hint->level != LEVEL_BOUNDED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_staleness and max_lag in a hint are bounds of level \"bounded\", not of \"%s\"",
						level_name(hint->level)),
				 errhint("Leave them out, or choose the level \"bounded\".")));

	hint->on_timeout = ON_TIMEOUT_UNSET;
	if (values[KEY_ON_TIMEOUT])
	{
		hint->on_timeout = guc_on_timeout_parse(values[KEY_ON_TIMEOUT]);
		if (hint->on_timeout == ON_TIMEOUT_UNSET)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for on_timeout in a hint: \"%s\"",
							values[KEY_ON_TIMEOUT]),
					 errhint("Available values: primary, error, stale.")));
	}

	hint->read_quorum = QUORUM_UNSET;
	if (values[KEY_READ_QUORUM] && !quorum_parse(values[KEY_READ_QUORUM], &hint->read_quorum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for read_quorum in a hint: \"%s\"",
						values[KEY_READ_QUORUM]),
				 errhint(QUORUM_HINT)));
}

/* A number with its unit, as settings have it; -1 if it isn't said. */
static int
number_value(char **values, HintKey key, int minimum, int unit)
{
	const char *hintmsg = NULL;
	int			number;

	if (values[key] == NULL)
		return -1;
	if (!parse_int(values[key], &number, unit, &hintmsg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for %s in a hint: \"%s\"", key_names[key], values[key]),
				 hintmsg ? errhint("%s", _(hintmsg)) :
				 errhint("It is a number with a unit, such as %s.",
						 unit == GUC_UNIT_MS ? "500ms" : "64kB")));
	if (number < minimum)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of %s in a hint is out of range: \"%s\"", key_names[key], values[key]),
				 errhint("It is from %d to %d.", minimum, INT_MAX)));
	return number;
}
