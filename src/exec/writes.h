/*-------------------------------------------------------------------------
 *
 * writes.h
 *	  Does a query need the primary, whatever its consistency level is?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WRITES_H
#define CONSISTENCY_WRITES_H

#include "nodes/parsenodes.h"

extern bool writes_query(Query *query);
extern bool writes_advisory_locks(Query *query);

#endif							/* CONSISTENCY_WRITES_H */
