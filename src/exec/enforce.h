/*-------------------------------------------------------------------------
 *
 * enforce.h
 *	  The one place where a promise is kept: the start of an execution.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ENFORCE_H
#define CONSISTENCY_ENFORCE_H

#include "utils/snapshot.h"
#include "utils/timestamp.h"

#include "requirement/requirement.h"

extern void enforce_init(void);

extern void enforce_before_utility(const char *text, int location, int length);
extern void enforce_copy_of_table(const char *text, int location, int length, Oid relation);
extern void enforce_before_first_snapshot(void);
extern void enforce_after_import(void);
extern const Declaration *enforce_declaration(void);
extern Snapshot enforce_for_routed_scan(const Declaration *declaration, Snapshot snapshot,
										bool may_forward, int64 *waited_us);
extern bool enforce_is_wait_for(Oid procedure);

#endif							/* CONSISTENCY_ENFORCE_H */
