/*-------------------------------------------------------------------------
 *
 * nesting.h
 *	  Are we inside another statement?
 *
 * Only what the client sent is enforced and routed; what functions and
 * triggers read follows the statement that called them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NESTING_H
#define CONSISTENCY_NESTING_H

#include "nodes/plannodes.h"

/* executors and planners that are running, > 0 inside a statement */
extern int	nesting_depth;

/*
 * How many rows the client's statement was run for this time, 0 for all: a
 * cursor or a portal of the extended protocol may be run in portions.
 */
extern uint64 nesting_row_limit;

/*
 * The utility statement that the client's statement is, T_Invalid if it is
 * none: EXPLAIN, COPY and others have a query inside.
 */
extern NodeTag nesting_utility;

/* that statement, and the text in which it stands; NULL if there is none */
extern const PlannedStmt *nesting_utility_statement;
extern const char *nesting_utility_text;

extern bool nesting_may_leave(bool executing);
extern void nesting_find_statement(const char *text, int *location, int *length);

#endif							/* CONSISTENCY_NESTING_H */
