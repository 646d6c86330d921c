/*-------------------------------------------------------------------------
 *
 * token.h
 *	  Positions as clients carry them from one session to another.
 *
 * A token is "<system identifier>:<timeline>:<LSN>", for instance
 * 7301234567890123456:1:0/3000148.  The empty token stands for no position.
 *
 * Behind that may follow ",<timeline>:<LSN>": what was written or seen on an older
 * timeline as well, and may have been lost in the failover that ended that.  It is
 * left out once it is known not to be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TOKEN_H
#define CONSISTENCY_TOKEN_H

#include "core/position.h"

/* 20 digits, twice a separator, 10 digits, colon, 17 characters; zero byte */
#define TOKEN_TEXT_SIZE 96

typedef struct Token
{
	Position	newest;
	Position	older;			/* of an older timeline than "newest", or none */
} Token;

typedef enum TokenVerdict
{
	TOKEN_OK,
	TOKEN_MALFORMED,
	TOKEN_FOREIGN				/* of a cluster with another system identifier */
} TokenVerdict;

/* What to tell a user whose token is no good; each takes the token's text. */
#define TOKEN_MALFORMED_MESSAGE "invalid consistency token: \"%s\""
#define TOKEN_MALFORMED_HINT \
	"A token is what consistency.token() returns: system identifier, timeline and LSN, separated by colons."
#define TOKEN_FOREIGN_MESSAGE "consistency token \"%s\" belongs to another cluster"
#define TOKEN_FOREIGN_HINT \
	"A token is valid only on the primary that issued it and on its replicas."

extern char *token_format(Token token, uint64 system_identifier, char *buf);
extern TokenVerdict token_parse(const char *text, uint64 system_identifier, Token *token);
extern Token token_parse_or_error(const char *text);
extern void token_note_refused(TokenVerdict verdict);

#endif							/* CONSISTENCY_TOKEN_H */
