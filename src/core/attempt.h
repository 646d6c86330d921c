/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Doing what may fail, and going on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ATTEMPT_H
#define CONSISTENCY_ATTEMPT_H

#include "utils/elog.h"

typedef void (*attempt_fn) (void *arg);

extern ErrorData *attempt(attempt_fn work, void *arg);

#endif							/* CONSISTENCY_ATTEMPT_H */
