/*-------------------------------------------------------------------------
 *
 * table_access.h
 *	  Which tables can be verified, and by whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TABLE_ACCESS_H
#define CONSISTENCY_TABLE_ACCESS_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

extern void table_access_check(Oid root);
extern List *table_access_parts(Oid root, bool warn);
extern Relation table_access_open(Oid root, Oid part, bool missing_ok);

#endif							/* CONSISTENCY_TABLE_ACCESS_H */
