/*-------------------------------------------------------------------------
 *
 * descent.c
 *	  Finding what differs between two copies by digests of ever smaller ranges.
 *
 * A Merkle tree that nobody keeps: its nodes are computed when they are asked
 * for.  Where the copies are equal, that is its root only, once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "verify/descent.h"

static bool descend_into(const Descent *descent, DescentRange range, bool *found);
static uint64 part_width(DescentRange range, int parts);

/* How many parts a range is best compared in. */
int
descent_parts(DescentRange range)
{
	uint64		numbers = (uint64) range.last - range.first + 1;
	uint64		width = (numbers + DESCENT_PARTS - 1) / DESCENT_PARTS;

	return (int) ((numbers + width - 1) / width);
}

/* One of the parts of a range, from 0. */
DescentRange
descent_part(DescentRange range, int parts, int part)
{
	uint64		width = part_width(range, parts);
	uint64		first = range.first + width * part;

	return (DescentRange)
	{
		.first = (uint32) first,
			.last = (uint32) Min(first + width - 1, range.last),
	};
}

/* The part of a range that a number in it belongs to. */
int
descent_part_of(DescentRange range, int parts, uint32 number)
{
	return (int) ((number - range.first) / part_width(range, parts));
}

void
range_digest_add(RangeDigest *digest, uint64 row)
{
	digest->rows++;
	digest->sum += row;
}

bool
range_digest_equal(RangeDigest a, RangeDigest b)
{
	return a.rows == b.rows && a.sum == b.sum;
}

/*
 * descend
 *		Compare a range, and whatever differs in it down to the rows.  False if
 *		that was ended before its end.
 */
bool
descend(const Descent *descent, DescentRange range)
{
	bool		found = false;

	return descend_into(descent, range, &found);
}

/* The same; sets *found if something differs. */
static bool
descend_into(const Descent *descent, DescentRange range, bool *found)
{
	int			parts = descent_parts(range);
	DescentVerdict verdicts[DESCENT_PARTS];

	if (!descent->compare(descent->arg, range, parts, verdicts))
		return false;
	for (int i = 0; i < parts; i++)
	{
		DescentRange part = descent_part(range, parts, i);
		bool		found_in_part = false;
		bool		goes_on;

		if (verdicts[i] == DESCENT_EQUAL)
			continue;
		if (part.first == part.last)
			goes_on = descent->compare_rows(descent->arg, part.first, &found_in_part);
		else
			goes_on = descend_into(descent, part, &found_in_part);
		if (!goes_on)
			return false;
		if (verdicts[i] == DESCENT_DIFFERENT && !found_in_part)
		{
			descent->vanished(descent->arg, part);
			found_in_part = true;
		}
		*found |= found_in_part;
	}
	return true;
}

static uint64
part_width(DescentRange range, int parts)
{
	uint64		numbers = (uint64) range.last - range.first + 1;

	return (numbers + parts - 1) / parts;
}
