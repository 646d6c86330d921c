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
