/*-------------------------------------------------------------------------
 *
 * local_change.h
 *	  Changes that are made here to rows of an attached table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_LOCAL_CHANGE_H
#define CONSISTENCY_LOCAL_CHANGE_H

#include "converge/table_rules.h"

extern HeapTuple local_insert(Relation relation, TableRules *rules, HeapTuple inserted);
extern HeapTuple local_update(Relation relation, TableRules *rules, HeapTuple before, HeapTuple after);
extern void local_delete(Relation relation, TableRules *rules, HeapTuple deleted);

#endif							/* CONSISTENCY_LOCAL_CHANGE_H */
