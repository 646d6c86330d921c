/*-------------------------------------------------------------------------
 *
 * comparison.h
 *	  Comparing a range of a table's blocks between the primary and a replica.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMPARISON_H
#define CONSISTENCY_COMPARISON_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#include "core/position.h"
#include "verify/descent.h"

/* A row that differs, or a block that can't be read */
typedef struct Finding
{
	Oid			part;			/* the table, or partition, that it is in */
	ItemPointerData place;		/* offset 0: the whole block */
	char	   *key;			/* a condition that finds it; NULL: a block */
	const char *difference;
	List	   *columns;		/* names (char *) of those that differ */
	char	   *detail;			/* an error's message, or NULL */
	Position	position;		/* both had reached this one */
} Finding;

typedef struct Comparison
{
	Oid			serverid;		/* of the replica */
	Oid			root;			/* the table that the caller may read */
	Oid			part;			/* what holds the rows */
	int64		limit;			/* of findings: end when there are so many */

	List	   *findings;
	Position	position;		/* of the last step */
	int64		rows;			/* compared, as the primary counts them */
	bool		gone;			/* the part was dropped, or detached */
	char	   *failure;		/* why the replica didn't answer; or NULL */
} Comparison;

extern bool comparison_run(Comparison *comparison, DescentRange blocks);

#endif							/* CONSISTENCY_COMPARISON_H */
