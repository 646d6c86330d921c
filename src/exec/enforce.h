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

extern void enforce_begin_utility(void);
extern const Declaration *enforce_declaration(void);
extern Snapshot enforce_for_routed_scan(const Declaration *declaration, Snapshot snapshot,
										int64 *waited_us);

#endif							/* CONSISTENCY_ENFORCE_H */
