/*-------------------------------------------------------------------------
 *
 * write_quorum.h
 *	  A commit is acknowledged when enough nodes have applied it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WRITE_QUORUM_H
#define CONSISTENCY_WRITE_QUORUM_H

#include "nodes/plannodes.h"

extern void write_quorum_init(void);
extern void write_quorum_of_relation(Oid relid);
extern void write_quorum_of_plan(const PlannedStmt *plan);
extern void write_quorum_of_utility(const Node *statement);
extern void write_quorum_before_prepared(void);

#endif							/* CONSISTENCY_WRITE_QUORUM_H */
