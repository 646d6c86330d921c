/*-------------------------------------------------------------------------
 *
 * forward.h
 *	  Does a statement of a replica's client run at the primary?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_H
#define CONSISTENCY_FORWARD_H

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"

extern bool forward_is_possible(void);
extern bool forward_takes_writes(void);
extern bool forward_may_write(void);
extern bool forward_query(Query *query, const char *text);
extern bool forward_execution(QueryDesc *queryDesc);
extern void forward_explained(QueryDesc *queryDesc, bool leader);
extern bool forward_runs_portal(void);
extern void forward_read(QueryDesc *queryDesc);

#endif							/* CONSISTENCY_FORWARD_H */
