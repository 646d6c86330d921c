/*-------------------------------------------------------------------------
 *
 * lexer.h
 *	  Where the statements and the comments of a query text are.
 *
 * What PostgreSQL says of a statement's place includes the comments before it,
 * or not, by version, and never those behind the semicolon.  So this tells
 * tokens from comments by PostgreSQL's rules, and no more than that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_LEXER_H
#define CONSISTENCY_LEXER_H

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_COMMENT,				/* between slash and star; others are skipped */
	TOKEN_SEMICOLON,			/* not within parentheses */
	TOKEN_OTHER
} TokenKind;

typedef struct Lexer
{
	const char *query;
	int			position;		/* behind the last token, byte of the text */
	int			end;			/* of what is read */
	int			depth;			/* of parentheses */
} Lexer;

typedef struct Token
{
	TokenKind	kind;
	int			start;			/* bytes of the text: from */
	int			end;			/* to, exclusive */
} Token;

/* Where the comments of a statement may be, and where its tokens are. */
typedef struct StatementRegion
{
	int			start;			/* bytes of the text: behind the last
								 * statement */
	int			first;			/* first token of this one */
	int			last;			/* end of its last token */
	int			end;			/* where the next statement takes over */
} StatementRegion;

extern bool lexer_find_statement(const char *query, int location, int length,
								 StatementRegion *region);
extern Lexer lexer_start(const char *query, int start, int end);
extern Token lexer_next(Lexer *lexer);
extern bool lexer_is_space(char c);

#endif							/* CONSISTENCY_LEXER_H */
