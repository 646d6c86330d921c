/*-------------------------------------------------------------------------
 *
 * forward_own_lock.h
 *	  Waits for locks that the client's transaction holds at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_OWN_LOCK_H
#define CONSISTENCY_FORWARD_OWN_LOCK_H

#include "utils/elog.h"

extern void forward_own_lock_watch(void);
extern void forward_own_lock_forget(void);
extern void forward_own_lock_explain(ErrorData *error);

#endif							/* CONSISTENCY_FORWARD_OWN_LOCK_H */
