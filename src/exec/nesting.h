/*-------------------------------------------------------------------------
 *
 * nesting.h
 *	  Are we inside another statement?
 *
 * Only what the client sent is routed; what functions and triggers read follows
 * the statement that called them, unless it asks for more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NESTING_H
#define CONSISTENCY_NESTING_H

#include "nodes/parsenodes.h"
#include "utils/portal.h"

/* executors and planners that are running, > 0 inside a statement */
extern int	nesting_depth;

/*
 * Queries of the client whose plans are open here, cursors among them; it may be
 * too many after one failed, up to the end of the transaction
 */
extern int	nesting_executions;

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

/* the utility statement is an EXPLAIN that doesn't execute the query */
extern bool nesting_explains;

/* a plan is being made: what functions read now only helps to estimate */
extern bool nesting_planning;

extern void nesting_init(void);
extern NodeTag nesting_begin_utility(NodeTag utility, const char *text, const char *prepared,
									 int location, int length);
extern void nesting_locate(const char *text, bool executing, int *location, int *length);
extern bool nesting_is_clients(const char *text);
extern bool nesting_may_leave(bool executing);
extern Portal nesting_utility_portal(void);
extern bool nesting_is_simple_query(void);
extern bool nesting_explain_executes(const ExplainStmt *statement);

#endif							/* CONSISTENCY_NESTING_H */
