/*-------------------------------------------------------------------------
 *
 * conflict_queue.h
 *	  Columns that have several values, until somebody decides.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H
#define CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H

#include "postgres_ext.h"

extern bool conflict_queue_decides(Oid relation, const char *column);

#endif							/* CONSISTENCY_CONVERGE_CONFLICT_QUEUE_H */
