/*-------------------------------------------------------------------------
 *
 * token.c
 *	  Positions as clients carry them from one session to another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xlog.h"
#include "miscadmin.h"

#include "core/violations.h"
#include "session/token.h"

static bool parse_position(const char **text, char end, Position *position);
static bool parse_number(const char **text, int base, uint64 max, char end, uint64 *number);

/*
 * token_format
 *		Write a token into buf (TOKEN_TEXT_SIZE bytes), return buf; the empty
 *		string for no position.
 */
char *
token_format(Token token, uint64 system_identifier, char *buf)
{
	char		newest[POSITION_TEXT_SIZE];
	char		older[POSITION_TEXT_SIZE];

	if (!position_is_set(token.newest))
		buf[0] = '\0';
	else
		snprintf(buf, TOKEN_TEXT_SIZE, UINT64_FORMAT ":%s%s%s",
				 system_identifier, position_text(token.newest, newest),
				 position_is_set(token.older) ? "," : "",
				 position_is_set(token.older) ? position_text(token.older, older) : "");
	return buf;
}

/*
 * token_parse
 *		Read a token of the cluster with the given system identifier.
 *
 * *token is set only where the verdict is TOKEN_OK.  Exactly what token_format
 * writes is accepted (LSN digits in either case).
 */
TokenVerdict
token_parse(const char *text, uint64 system_identifier, Token *token)
{
	Token		parsed = {POSITION_NONE, POSITION_NONE};
	uint64		system;

	if (text[0] != '\0')
	{
		bool		has_older = strchr(text, ',') != NULL;

		if (!parse_number(&text, 10, PG_UINT64_MAX, ':', &system) ||
			!parse_position(&text, has_older ? ',' : '\0', &parsed.newest) ||
			(has_older && !parse_position(&text, '\0', &parsed.older)) ||
			(has_older && parsed.older.tli >= parsed.newest.tli))
			return TOKEN_MALFORMED;
		if (system != system_identifier)
			return TOKEN_FOREIGN;
	}
	*token = parsed;
	return TOKEN_OK;
}

/*
 * token_parse_or_error
 *		Read a token of this cluster, or raise the error that says what is
 *		wrong with it.
 */
Token
token_parse_or_error(const char *text)
{
	Token		token = {POSITION_NONE, POSITION_NONE};
	TokenVerdict verdict = token_parse(text, GetSystemIdentifier(), &token);

	token_note_refused(verdict);
	if (verdict == TOKEN_MALFORMED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(TOKEN_MALFORMED_MESSAGE, text),
				 errhint(TOKEN_MALFORMED_HINT)));
	if (verdict == TOKEN_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(TOKEN_FOREIGN_MESSAGE, text),
				 errhint(TOKEN_FOREIGN_HINT)));
	return token;
}

/* A token is no good: count it, unless that is at a start of the server. */
void
token_note_refused(TokenVerdict verdict)
{
	if (verdict != TOKEN_OK && OidIsValid(MyDatabaseId))
		violations_record(VIOLATION_REFUSED_TOKEN,
						  verdict == TOKEN_FOREIGN ? "of another cluster" : "malformed");
}

/* Read "<timeline>:<LSN>" that is followed by the character "end". */
static bool
parse_position(const char **text, char end, Position *position)
{
	uint64		tli,
				high,
				low;

	if (!parse_number(text, 10, PG_UINT32_MAX, ':', &tli) ||
		!parse_number(text, 16, PG_UINT32_MAX, '/', &high) ||
		!parse_number(text, 16, PG_UINT32_MAX, end, &low) ||
		tli == 0 || (high == 0 && low == 0))
		return false;
	position->tli = (TimeLineID) tli;
	position->lsn = (high << 32) | low;
	return true;
}

/*
 * Read one number that is followed by the character "end", and move *text
 * behind that.  Nothing but digits is accepted: no sign, no space.
 */
static bool
parse_number(const char **text, int base, uint64 max, char end, uint64 *number)
{
	const char *p = *text;
	uint64		value = 0;

	if (*p == end)
		return false;
	for (; *p != end; p++)
	{
		unsigned char c = (unsigned char) *p;
		int			digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (base == 16 && isxdigit(c))
			digit = tolower(c) - 'a' + 10;
		else
			return false;
		if (value > (max - digit) / base)
			return false;
		value = value * base + digit;
	}
	*text = end == '\0' ? p : p + 1;
	*number = value;
	return true;
}
