/*-------------------------------------------------------------------------
 *
 * violations.c
 *	  Promises that were not kept, counted and remembered.
 *
 * Those of a kind that are remembered form a ring.  Who writes takes the next
 * number and overwrites the place that belongs to it; the place's own number is
 * 0 while it is being written, so that readers, and whatever comes after a
 * crash, leave it out.  No lock: two writers meet in one place only if one is
 * overtaken by a whole ring, and then a reader sees that the number changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "core/kept.h"
#include "core/violations.h"

typedef struct ViolationPlace
{
	pg_atomic_uint64 number;	/* from 1; 0: nothing is here, or not all of
								 * it yet */
	Violation	violation;
} ViolationPlace;

/* No lock: the fields may disagree for a moment. */
typedef struct ViolationRing
{
	pg_atomic_uint64 count;
	pg_atomic_uint64 last;		/* TimestampTz of the newest; 0: none */
	pg_atomic_uint64 recorded;	/* numbers given out */
	ViolationPlace places[VIOLATIONS_REMEMBERED];
} ViolationRing;

/* by kind; NULL without preload */
static ViolationRing *rings = NULL;

static const char *const kind_names[] = {
	[VIOLATION_LOST_POSITION] = "lost_position",
	[VIOLATION_STALE_ANSWER] = "stale_answer",
	[VIOLATION_UNFENCED_READ] = "unfenced_read",
	[VIOLATION_REGRESSION] = "regression",
	[VIOLATION_REFUSED_TOKEN] = "refused_token",
	[VIOLATION_UNCONFIRMED_COMMIT] = "unconfirmed_commit"
};

/* Only while the library is being preloaded. */
void
violations_init(void)
{
	rings = kept_register("violations", NUM_VIOLATION_KINDS * sizeof(ViolationRing));
}

/* A promise was not kept, just now. */
void
violations_count(ViolationKind kind)
{
	if (rings == NULL)
		return;
	pg_atomic_write_u64(&rings[kind].last, (uint64) GetCurrentTimestamp());
	pg_atomic_fetch_add_u64(&rings[kind].count, 1);
}

/* The same, to be remembered with what is known of it.  No secrets, please. */
void
violations_record(ViolationKind kind, const char *format,...)
{
	ViolationRing *ring;
	ViolationPlace *place;
	Violation  *violation;
	uint64		number;
	va_list		args;

	if (rings == NULL)
		return;
	violations_count(kind);

	ring = &rings[kind];
	number = pg_atomic_fetch_add_u64(&ring->recorded, 1) + 1;
	place = &ring->places[number % VIOLATIONS_REMEMBERED];
	violation = &place->violation;

	pg_atomic_write_u64(&place->number, 0);
	pg_write_barrier();
	violation->time = GetCurrentTimestamp();
	violation->database = MyDatabaseId;
	violation->role = GetUserId();
	violation->pid = MyProcPid;
	strlcpy(violation->application_name, application_name ? application_name : "",
			sizeof(violation->application_name));
	va_start(args, format);
	vsnprintf(violation->detail, sizeof(violation->detail), format, args);
	va_end(args);
	pg_write_barrier();
	pg_atomic_write_u64(&place->number, number);
}

/* Begin to count from zero, and forget what is remembered. */
void
violations_reset(void)
{
	for (int kind = 0; kind < NUM_VIOLATION_KINDS; kind++)
	{
		pg_atomic_write_u64(&rings[kind].count, 0);
		pg_atomic_write_u64(&rings[kind].last, 0);
		for (int i = 0; i < VIOLATIONS_REMEMBERED; i++)
			pg_atomic_write_u64(&rings[kind].places[i].number, 0);
	}
}

const char *
violation_name(ViolationKind kind)
{
	return kind_names[kind];
}

/* How many there were, and when the last one was: 0 for never. */
uint64
violations_counted(ViolationKind kind, TimestampTz *last)
{
	*last = (TimestampTz) pg_atomic_read_u64(&rings[kind].last);
	return pg_atomic_read_u64(&rings[kind].count);
}

/*
 * violations_remembered
 *		Copy what is remembered in a place, 0 <= place < VIOLATIONS_REMEMBERED.
 *		False if nothing is.
 */
bool
violations_remembered(ViolationKind kind, int place, Violation *violation)
{
	ViolationPlace *from = &rings[kind].places[place];
	uint64		number = pg_atomic_read_u64(&from->number);

	if (number == 0)
		return false;
	pg_read_barrier();
	*violation = from->violation;
	pg_read_barrier();
	return pg_atomic_read_u64(&from->number) == number;
}
