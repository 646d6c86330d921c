/*-------------------------------------------------------------------------
 *
 * lexer.c
 *	  Where the statements and the comments of a query text are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "parser/parser.h"

#include "session/lexer.h"

static void skip_space(Lexer *lexer);
static TokenKind skip_token(Lexer *lexer);
static char peek(const Lexer *lexer, int offset);
static void skip_comment(Lexer *lexer);
static void skip_word(Lexer *lexer);
static void skip_quoted(Lexer *lexer, char quote);
static void skip_escape_string(Lexer *lexer);
static bool is_continued(Lexer *lexer);
static bool skip_dollar_string(Lexer *lexer);
static bool is_word_start(char c);
static bool is_word(char c);

/*
 * lexer_find_statement
 *		Find the statement at location (stmt_location and stmt_len of its
 *		PlannedStmt).  False if there is none, or if the location is unknown
 *		and there are several: the inner statement of an EXPLAIN has none
 *		before PostgreSQL 18.
 */
bool
lexer_find_statement(const char *query, int location, int length, StatementRegion *region)
{
	Lexer		lexer = lexer_start(query, 0, strlen(query));
	bool		unknown = location < 0 || (location == 0 && length <= 0);
	bool		open = false;	/* within a statement? */
	bool		found = false;
	int			start = 0;

	for (;;)
	{
		Token		token = lexer_next(&lexer);

		if (token.kind == TOKEN_COMMENT)
			continue;
		if (token.kind == TOKEN_OTHER)
		{
			if (found && !open)
				return !unknown;	/* the next statement */
			if (!open)
			{
				region->start = start;
				region->first = token.start;
				open = true;
			}
			region->last = token.end;
			continue;
		}

		/* a semicolon, or the end of the text */
		if (open)
		{
			found = unknown || (location >= region->start && location <= token.start);
			region->end = token.start;
			start = token.end;
			open = false;
		}
		if (token.kind == TOKEN_END)
		{
			/* nothing follows */
			region->end = token.end;
			return found;
		}
	}
}

/* To read the text from start to end (exclusive). */
Lexer
lexer_start(const char *query, int start, int end)
{
	Lexer		lexer;

	lexer.query = query;
	lexer.position = start;
	lexer.end = end;
	lexer.depth = 0;
	return lexer;
}

/* The next token. */
Token
lexer_next(Lexer *lexer)
{
	Token		token;

	skip_space(lexer);
	token.start = lexer->position;
	token.kind = skip_token(lexer);
	lexer->position = Min(lexer->position, lexer->end);
	token.end = lexer->position;
	return token;
}

/* Skip white space, and comments that begin with two dashes. */
static void
skip_space(Lexer *lexer)
{
	for (;;)
	{
		char		c = peek(lexer, 0);

		if (lexer_is_space(c))
			lexer->position++;
		else if (c == '-' && peek(lexer, 1) == '-')
		{
			while (c != '\0' && c != '\n' && c != '\r')
			{
				lexer->position++;
				c = peek(lexer, 0);
			}
		}
		else
			return;
	}
}

/* Skip a token, which may be a single character of an operator. */
static TokenKind
skip_token(Lexer *lexer)
{
	char		c = peek(lexer, 0);

	if (c == '\0')
		return TOKEN_END;
	if (c == '/' && peek(lexer, 1) == '*')
	{
		skip_comment(lexer);
		return TOKEN_COMMENT;
	}
	if ((c == 'e' || c == 'E') && peek(lexer, 1) == '\'')
	{
		lexer->position++;
		skip_escape_string(lexer);
	}
	else if (c == '\'' && !standard_conforming_strings)
		skip_escape_string(lexer);
	else if (c == '\'' || c == '"')
		skip_quoted(lexer, c);
	else if (is_word(c) && c != '$')
		skip_word(lexer);
	else if (c != '$' || !skip_dollar_string(lexer))
	{
		lexer->position++;
		if (c == ';' && lexer->depth == 0)
			return TOKEN_SEMICOLON;
		if (c == '(')
			lexer->depth++;
		else if (c == ')' && lexer->depth > 0)
			lexer->depth--;
	}
	return TOKEN_OTHER;
}

/* The character that many ahead; '\0' at the end. */
static char
peek(const Lexer *lexer, int offset)
{
	return lexer->position + offset < lexer->end ? lexer->query[lexer->position + offset] : '\0';
}

/* These comments nest. */
static void
skip_comment(Lexer *lexer)
{
	int			depth = 0;

	do
	{
		char		c = peek(lexer, 0);
		char		next = peek(lexer, 1);
		bool		opens = c == '/' && next == '*';
		bool		closes = c == '*' && next == '/';

		depth += opens - closes;
		lexer->position += opens || closes ? 2 : 1;
	} while (depth > 0 && lexer->position < lexer->end);
}

/* A key word, a name without quotes, or a number, which a '$' ends. */
static void
skip_word(Lexer *lexer)
{
	bool		number = !is_word_start(peek(lexer, 0));

	while (is_word(peek(lexer, 0)) && !(number && peek(lexer, 0) == '$'))
		lexer->position++;
}

/* Up to the closing quote.  A doubled one makes it two tokens: no matter. */
static void
skip_quoted(Lexer *lexer, char quote)
{
	do
		lexer->position++;
	while (peek(lexer, 0) != quote && lexer->position < lexer->end);
	lexer->position++;
}

/* A string in which a backslash hides a quote. */
static void
skip_escape_string(Lexer *lexer)
{
	do
	{
		char		c = '\0';

		lexer->position++;
		while (lexer->position < lexer->end && (c = peek(lexer, 0)) != '\'')
			lexer->position += c == '\\' ? 2 : 1;
		lexer->position++;
	} while (is_continued(lexer));
}

/*
 * Does the string go on?  A doubled quote does it, or a quote on another line,
 * to which the lexer then moves.
 */
static bool
is_continued(Lexer *lexer)
{
	Lexer		ahead = *lexer;

	skip_space(&ahead);
	if (peek(&ahead, 0) != '\'')
		return false;
	if (ahead.position > lexer->position &&
		strcspn(&lexer->query[lexer->position], "\n\r") >= ahead.position - lexer->position)
		return false;
	*lexer = ahead;
	return true;
}

/* Skip $tag$...$tag$; false if it is none, but a parameter, say. */
static bool
skip_dollar_string(Lexer *lexer)
{
	const char *start = &lexer->query[lexer->position];
	int			length = 1;		/* of the delimiter */
	char	   *delimiter;
	const char *close;

	if (is_word_start(start[1]))
		while (is_word(start[length]) && start[length] != '$')
			length++;
	if (start[length] != '$')
		return false;
	length++;

	delimiter = pnstrdup(start, length);
	close = strstr(start + length, delimiter);
	lexer->position = close ? close - lexer->query + length : lexer->end;
	pfree(delimiter);
	return true;
}

/* White space, wherever we are. */
bool
lexer_is_space(char c)
{
	return c != '\0' && strchr(" \t\n\r\f\v", c) != NULL;
}

static bool
is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_word(char c)
{
	return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}
