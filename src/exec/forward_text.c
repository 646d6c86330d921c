/*-------------------------------------------------------------------------
 *
 * forward_text.c
 *	  The text of the statement that is sent to the primary.
 *
 * A statement is sent as the client wrote it.  A query inside PREPARE, DECLARE
 * CURSOR, EXPLAIN or COPY is sent without what is around it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "exec/forward_text.h"
#include "session/lexer.h"

static ForwardText part(const char *source, int start, int end);
static void find_query(const char *source, int *start, int *end);
static bool skip_to(Lexer *lexer, const char *word);
static void skip_explain(Lexer *lexer);
static void skip_parentheses(Lexer *lexer);
static Token next_token(Lexer *lexer);
static bool is_word(const Lexer *lexer, Token token, const char *word);
static bool begins_query(const Lexer *lexer, Token token);

/*
 * forward_text_of_statement
 *		A statement as a whole; location and length as its PlannedStmt has them.
 */
ForwardText
forward_text_of_statement(const char *source, int location, int length)
{
	int			start = Max(location, 0);
	int			end = length > 0 ? start + length : strlen(source);
	Lexer		lexer = lexer_start(source, start, end);
	Token		token = next_token(&lexer);
	StatementRegion region;

	if (location < 0 && !lexer_find_statement(source, location, length, &region))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot tell which statement is to be sent to the primary"),
				 errdetail("It is one of several in a message, and was rewritten by a rule."),
				 errhint("Send it by itself.")));

	return part(source, token.kind == TOKEN_END ? start : token.start, end);
}

/*
 * forward_text_of_query
 *		The query in a statement.
 */
ForwardText
forward_text_of_query(const char *source, int location, int length)
{
	ForwardText text = forward_text_of_statement(source, location, length);
	int			start = text.offset;
	int			end = start + strlen(text.sql);

	find_query(source, &start, &end);
	return part(source, start, end);
}

/*
 * forward_text_execute
 *		The text of EXPLAIN EXECUTE or CREATE TABLE AS EXECUTE (or of both) with
 *		another name of what is executed.  Places in it mean nothing to the client
 *		any more.
 */
ForwardText
forward_text_execute(ForwardText text, const char *name)
{
	const char *sql = text.sql;
	Lexer		lexer = lexer_start(sql, 0, strlen(sql));
	Token		token = next_token(&lexer);
	int			end;

	if (is_word(&lexer, token, "explain"))
	{
		skip_explain(&lexer);
		token = next_token(&lexer);
	}
	if (is_word(&lexer, token, "create"))
		(void) (skip_to(&lexer, "as") && skip_to(&lexer, "execute"));
	token = next_token(&lexer);
	end = token.end;
	while (sql[end] == '"')		/* quotes inside of quotes */
		end = next_token(&lexer).end;
	return (ForwardText)
	{
		.sql = psprintf("%.*s%s%s", token.start, sql, name, sql + end),
	};
}

static ForwardText
part(const char *source, int start, int end)
{
	return (ForwardText)
	{
		.source = source,
			.offset = start,
			.sql = pnstrdup(source + start, end - start),
	};
}

/* Narrow a statement's place to that of the query in it. */
static void
find_query(const char *source, int *start, int *end)
{
	Lexer		lexer = lexer_start(source, *start, *end);
	Token		first = next_token(&lexer);
	bool		inside = false;

	if (is_word(&lexer, first, "prepare"))
		inside = skip_to(&lexer, "as");
	else if (is_word(&lexer, first, "declare"))
		inside = skip_to(&lexer, "for");
	else if (is_word(&lexer, first, "explain"))
	{
		skip_explain(&lexer);
		inside = true;
	}
	else if (is_word(&lexer, first, "copy"))
	{
		Lexer		ahead = lexer;

		(void) next_token(&lexer);	/* the parenthesis */
		skip_parentheses(&ahead);
		*end = ahead.position - 1;
		*start = lexer.position;
		return;
	}

	if (!inside)
		return;
	*start = lexer.position;
	find_query(source, start, end);
}

/* Go behind the next such word, which is reserved and so can't be a name. */
static bool
skip_to(Lexer *lexer, const char *word)
{
	Token		token;

	do
		token = next_token(lexer);
	while (token.kind == TOKEN_OTHER && !(lexer->depth == 0 && is_word(lexer, token, word)));
	return token.kind == TOKEN_OTHER;
}

/* Go behind EXPLAIN's options, of both forms. */
static void
skip_explain(Lexer *lexer)
{
	Lexer		ahead = *lexer;
	Token		token = next_token(&ahead);

	if (is_word(&ahead, token, "("))
	{
		token = next_token(&ahead);
		if (!begins_query(&ahead, token))
			skip_parentheses(lexer);
		return;
	}
	while (is_word(&ahead, token, "analyze") || is_word(&ahead, token, "analyse") ||
		   is_word(&ahead, token, "verbose"))
	{
		*lexer = ahead;
		token = next_token(&ahead);
	}
}

/* Go behind the parentheses that come next. */
static void
skip_parentheses(Lexer *lexer)
{
	int			depth = lexer->depth;
	Token		token = next_token(lexer);

	while (token.kind == TOKEN_OTHER && lexer->depth > depth)
		token = next_token(lexer);
}

/* The next token that is no comment. */
static Token
next_token(Lexer *lexer)
{
	Token		token;

	do
		token = lexer_next(lexer);
	while (token.kind == TOKEN_COMMENT);
	return token;
}

static bool
is_word(const Lexer *lexer, Token token, const char *word)
{
	int			length = strlen(word);

	return token.kind == TOKEN_OTHER && token.end - token.start == length &&
		pg_strncasecmp(lexer->query + token.start, word, length) == 0;
}

/* Behind a parenthesis: a query, or an option of EXPLAIN? */
static bool
begins_query(const Lexer *lexer, Token token)
{
	static const char *const words[] = {"select", "with", "values", "table", "("};

	for (int i = 0; i < lengthof(words); i++)
	{
		if (is_word(lexer, token, words[i]))
			return true;
	}
	return false;
}
