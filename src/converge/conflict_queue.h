/*-------------------------------------------------------------------------
 *
 * conflict_queue.h
 *	  Columns that have several values, until somebody decides.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H
#define CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H

#include "access/attnum.h"

extern bool conflict_queue_decides(Oid relation, AttrNumber column);

#endif							/* CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H */
