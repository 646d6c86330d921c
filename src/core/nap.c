/*-------------------------------------------------------------------------
 *
 * nap.c
 *	  Short sleeps between two looks at something that nobody wakes us for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"

#include "core/nap.h"

/* shorter than that a latch can't wait, microseconds */
#define LATCH_RESOLUTION 1000

/*
 * nap
 *		Sleep for *nap_us microseconds, and double that for the next time, up to
 *		the longest.  Returns false, without sleeping, once the deadline has
 *		passed.  Can be cancelled.
 */
bool
nap(int *nap_us, int longest_us, TimestampTz deadline, uint32 wait_event)
{
	if (GetCurrentTimestamp() >= deadline)
		return false;

	if (*nap_us < LATCH_RESOLUTION)
		pg_usleep(*nap_us);
	else
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 *nap_us / LATCH_RESOLUTION, wait_event);
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
	*nap_us = Min(*nap_us * 2, longest_us);
	return true;
}
