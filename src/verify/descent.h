/*-------------------------------------------------------------------------
 *
 * descent.h
 *	  Finding what differs between two copies by digests of ever smaller ranges.
 *
 * Pure: knows neither what is numbered nor where the other copy is.  Between a
 * primary and its replica the numbers are blocks of the table's file, which are
 * the same at both.  Copies that are not physical ones need numbers of another
 * kind, such as places in an ordered list of keys, and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_DESCENT_H
#define CONSISTENCY_DESCENT_H

/* numbers first to last, both included */
typedef struct DescentRange
{
	uint32		first;
	uint32		last;
} DescentRange;

/* Of the rows of a range: equal for equal rows, in whatever order */
typedef struct RangeDigest
{
	int64		rows;
	uint64		sum;			/* of the digests of the rows */
} RangeDigest;

/* at most so many parts are compared at once */
#define DESCENT_PARTS 16

typedef enum DescentVerdict
{
	DESCENT_EQUAL,
	DESCENT_DIFFERENT,
	DESCENT_UNKNOWN				/* look at what it consists of */
} DescentVerdict;

typedef struct Descent
{
	/*
	 * Compare the copies, all parts of a range at once: set verdicts[i] for
	 * each part.  False to end the descent.
	 */
	bool		(*compare) (void *arg, DescentRange range, int parts, DescentVerdict *verdicts);

	/*
	 * Compare row by row what one number stands for; *found: something
	 * differs. False to end the descent.
	 */
	bool		(*compare_rows) (void *arg, uint32 number, bool *found);

	/* A range differed, and nothing in it does any more. */
	void		(*vanished) (void *arg, DescentRange range);
	void	   *arg;
} Descent;

extern int	descent_parts(DescentRange range);
extern DescentRange descent_part(DescentRange range, int parts, int part);
extern int	descent_part_of(DescentRange range, int parts, uint32 number);
extern void range_digest_add(RangeDigest *digest, uint64 row);
extern bool range_digest_equal(RangeDigest a, RangeDigest b);
extern bool descend(const Descent *descent, DescentRange range);

#endif							/* CONSISTENCY_DESCENT_H */
