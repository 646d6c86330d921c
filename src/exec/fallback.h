/*-------------------------------------------------------------------------
 *
 * fallback.h
 *	  How many reads may fall back to the primary at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FALLBACK_H
#define CONSISTENCY_FALLBACK_H

#include "utils/timestamp.h"

extern void fallback_init(void);
extern void fallback_begin(TimestampTz deadline);

#endif							/* CONSISTENCY_FALLBACK_H */
