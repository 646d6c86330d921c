#include "postgres.h"
#include "crdt/clock.h"
void
clock_init(void)
{
}

int64
clock_next(int64 seen)
{
	return seen + 1;
}
