/*-------------------------------------------------------------------------
 *
 * token.h
 *	  Positions as clients carry them from one session to another.
 *
 * A token is "<system identifier>:<timeline>:<LSN>", for instance
 * 7301234567890123456:1:0/3000148.  The empty token stands for no position.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TOKEN_H
#define CONSISTENCY_TOKEN_H

#include "core/position.h"

/* 20 digits, colon, 10 digits, colon, 17 characters, zero byte */
#define TOKEN_TEXT_SIZE 64

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

extern char *token_format(Position position, uint64 system_identifier, char *buf);
extern TokenVerdict token_parse(const char *text, uint64 system_identifier, Position *position);
extern Position token_parse_or_error(const char *text);

#endif							/* CONSISTENCY_TOKEN_H */
