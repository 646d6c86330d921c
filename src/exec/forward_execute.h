/*-------------------------------------------------------------------------
 *
 * forward_execute.h
 *	  EXECUTE inside of a statement that runs at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_EXECUTE_H
#define CONSISTENCY_FORWARD_EXECUTE_H

#include "nodes/parsenodes.h"

#include "exec/forward_statement.h"

extern const ExecuteStmt *forward_execute_in(Node *statement);
extern bool forward_execute_writes(const ExecuteStmt *execute);
extern char *forward_execute_prepare(ForwardStatement *statement, const ExecuteStmt *execute);
extern void forward_execute_deallocate(const ForwardStatement *statement, const char *name);

#endif							/* CONSISTENCY_FORWARD_EXECUTE_H */
