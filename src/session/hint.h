/*-------------------------------------------------------------------------
 *
 * hint.h
 *	  What a comment before or after a statement says of its consistency.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_HINT_H
#define CONSISTENCY_HINT_H

#include "core/guc.h"
#include "session/level.h"

/* as the key stands in a comment */
#define HINT_KEY "consistency='"

typedef struct Hint
{
	ConsistencyLevel level;		/* never LEVEL_UNSET */
	int			max_staleness_ms;	/* -1: not said */
	int			max_lag;		/* bytes; -1: not said */
	OnTimeout	on_timeout;		/* may be ON_TIMEOUT_UNSET */
	int			wait_timeout_ms;	/* -1: not said */
	int			read_quorum;	/* QUORUM_UNSET: not said */
} Hint;

/* do not use outside: reads the hint where hint_of_statement() can't rule it out */
extern bool hint_search(const char *text, int location, int length, Hint *hint);

/*
 * hint_of_statement
 *		Fill *hint with what the comment says that stands before or after the
 *		statement at location of a query text (stmt_location and stmt_len of
 *		its PlannedStmt; 0 or -1, and 0: the text's only statement).  False if
 *		there is none.  An error if it can't be read, or if there are two.
 */
static inline bool
hint_of_statement(const char *text, int location, int length, Hint *hint)
{
	const char *comment = text ? strstr(text, "/*") : NULL;

	/* nearly all texts end here */
	if (likely(comment == NULL || strstr(comment, HINT_KEY) == NULL))
		return false;
	return hint_search(text, location, length, hint);
}

#endif							/* CONSISTENCY_HINT_H */
