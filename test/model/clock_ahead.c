/*-------------------------------------------------------------------------
 *
 * clock_ahead.c
 *	  A wrong clock, for servers that are to have one: preloaded by LD_PRELOAD, it
 *	  makes a process and its children see a time that is CLOCK_AHEAD seconds
 *	  ahead.
 *
 * libfaketime isn't it: in a signal handler, and in processes that are forked in
 * one, it shows the true time.  With two times in a server its timeouts don't come,
 * that of deadlocks among them.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead;

__attribute__((constructor)) static void
read_environment(void)
{
	const char *text = getenv("CLOCK_AHEAD");

	ahead = text ? atol(text) : 0;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result = syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += ahead;
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
		return -1;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec exact;

	if (clock_gettime(CLOCK_REALTIME, &exact) != 0)
		return -1;
	if (now != NULL)
		*now = exact.tv_sec;
	return exact.tv_sec;
}
