/*-------------------------------------------------------------------------
 *
 * nesting.c
 *	  Are we inside another statement?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "exec/nesting.h"

int			nesting_depth = 0;
uint64		nesting_row_limit = 0;
NodeTag		nesting_utility = T_Invalid;
const PlannedStmt *nesting_utility_statement = NULL;
const char *nesting_utility_text = NULL;

/*
 * nesting_may_leave
 *		Are we where a query may leave the server: in what the client sent, or
 *		in a utility statement that only shows or hands out the query's rows?
 *
 * "executing": the query's own executor has begun, and counts as a level.
 */
bool
nesting_may_leave(bool executing)
{
	if (nesting_depth > (executing ? 1 : 0))
		return false;

	switch (nesting_utility)
	{
		case T_Invalid:
		case T_ExplainStmt:
		case T_ExecuteStmt:
		case T_CopyStmt:
		case T_DeclareCursorStmt:
			return true;
		default:
			return false;
	}
}

/*
 * nesting_find_statement
 *		The place of a query in its text, where it is only known of the utility
 *		statement that it is part of.
 *
 * PostgreSQL doesn't tell it of what EXPLAIN and DECLARE CURSOR have inside
 * (before 18, of EXPLAIN): location and length are both 0.
 */
void
nesting_find_statement(const char *text, int *location, int *length)
{
	if (*location > 0 || *length > 0 || text == NULL || nesting_utility_statement == NULL ||
		strcmp(text, nesting_utility_text) != 0)
		return;
	*location = nesting_utility_statement->stmt_location;
	*length = nesting_utility_statement->stmt_len;
}
