/*-------------------------------------------------------------------------
 *
 * compare.h
 *	  Finding rows of an attached table that differ between members.
 *
 * What is a difference.  Members go on writing, and what one has written is on
 * its way to the others; so a row that isn't the same at two members at some moment
 * says nothing.  It is looked at again once each member has applied all that the
 * other one had sent by the first look.  It does differ if then
 *
 * - one of them hasn't seen a change that the other one's row showed at the first
 *	 look: replication has lost it; or
 * - both have seen the same changes, and the rows aren't the same: somebody has
 *	 changed one behind the trigger's back.
 *
 * A row that is changed so often that neither can be told for several looks is
 * judged by the first one alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMPARE_H
#define CONSISTENCY_COMPARE_H

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "group/compare_peer.h"

/* of a difference, as it is shown */
#define DIFFERENCE_COLUMNS 5

typedef struct Difference
{
	Oid			leaf;			/* what holds the row */
	const ComparePeer *peer;
	char	   *key;
	const char *kind;
	List	   *columns;		/* names (char *) of those that differ */
} Difference;

/* How far a table was compared with a peer */
typedef struct ComparePoint
{
	bool		finished;
	bool		deletions;		/* all rows were; at what is left of deleted
								 * ones */
	char	   *after;			/* last key that was; NULL: none */
	uint64		skipped;		/* updates that apply had skipped at the
								 * beginning */
	int64		differences;	/* that were found by then, and not repaired */
} ComparePoint;

/* What holds rows, all of which were compared */
typedef struct ComparedLeaf
{
	Oid			leaf;
	uint64		skipped;		/* as above */
} ComparedLeaf;

/* A call of compare() or repair() */
typedef struct CompareRun
{
	Oid			root;
	List	   *peers;			/* ComparePeer */
	int			settle_ms;		/* to wait for replication; 0: don't */
	int64		max_rows;
	int			max_differences;
	bool		resume;
	char	   *after;

	MemoryContext context;		/* of the differences */
	int64		rows;			/* compared so far */
	List	   *differences;	/* found */
	List	   *compared;		/* ComparedLeaf: with all members, and nothing
								 * was found by earlier calls */
} CompareRun;

/* compare_arguments.c */
extern void compare_run_begin(CompareRun *run, FunctionCallInfo fcinfo);

/* compare.c */
extern void compare_run(CompareRun *run);
extern void compare_confirm(const CompareRun *run, const List *unequal);
extern void compare_put_difference(Datum *values, bool *nulls, const Difference *difference);

/* settle.c */
extern List *settle_differences(const ComparePeer *peer, const KeyTable *table, char **keys,
								int n, int settle_ms);

/* comparisons.c */
extern bool comparisons_load(const CompareRun *run, Oid leaf, ComparePoint *point);
extern void comparisons_save(const CompareRun *run, Oid leaf, const ComparePoint *point,
							 int64 rows, bool go_on);
extern void comparisons_save_repaired(Oid leaf, const char *peer, int64 repaired);

#endif							/* CONSISTENCY_COMPARE_H */
