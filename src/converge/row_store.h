/*-------------------------------------------------------------------------
 *
 * row_store.h
 *	  Finding and writing rows of an attached table, as replication does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROW_STORE_H
#define CONSISTENCY_ROW_STORE_H

#include "access/htup.h"
#include "commands/trigger.h"
#include "nodes/lockoptions.h"
#include "nodes/execnodes.h"

#include "converge/table_rules.h"

typedef struct RowStore
{
	Relation	relation;
	Oid			key_index;
	EState	   *estate;
	ResultRelInfo *info;
	TupleTableSlot *sought;		/* has the key */
	TupleTableSlot *found;		/* what row_store_find() has found, and locked */
	TupleTableSlot *written;
	struct RowStore *before;	/* the one in use when this one began to write */
} RowStore;

extern RowStore *row_store_open(Relation relation, Oid key_index);
extern HeapTuple row_store_find(RowStore *store, const Datum *values, const AttrNumber *keys, int nkeys,
								LockTupleMode mode);
extern bool row_store_any(Relation relation, Oid key_index, const Datum *values);
extern bool row_store_excluded(Relation relation, HeapTuple tuple, List *indexes);
extern void row_store_insert(RowStore *store, HeapTuple tuple);
extern void row_store_update(RowStore *store, HeapTuple tuple);
extern void row_store_delete(RowStore *store);
extern void row_store_close(RowStore *store);
extern bool row_store_is_behind(const TriggerData *trigger);

#endif							/* CONSISTENCY_ROW_STORE_H */
