/*-------------------------------------------------------------------------
 *
 * fence.h
 *	  The leader fence: is this server still the primary?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FENCE_H
#define CONSISTENCY_FENCE_H

#include "utils/timestamp.h"

extern void fence_init(void);
extern bool fence_is_possible(void);
extern bool fence_wait(TimestampTz deadline);

#endif							/* CONSISTENCY_FENCE_H */
