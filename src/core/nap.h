/*-------------------------------------------------------------------------
 *
 * nap.h
 *	  Short sleeps between two looks at something that nobody wakes us for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NAP_H
#define CONSISTENCY_NAP_H

#include "utils/timestamp.h"

extern bool nap(int *nap_us, int longest_us, TimestampTz deadline, uint32 wait_event);

#endif							/* CONSISTENCY_NAP_H */
