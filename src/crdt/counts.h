/*-------------------------------------------------------------------------
 *
 * counts.h
 *	  Merging states that are nothing but numbers by replica.
 *
 * The bodies of gcounter, vclock and pncounter are entries of an id and some
 * numbers, by ascending id, and their join takes the larger one of each.  So are
 * the version vectors in other bodies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_COUNTS_H
#define CONSISTENCY_CRDT_COUNTS_H

#include "crdt/wire.h"

/* the most numbers that an entry has */
#define COUNTS_MAX_WIDTH 4

/* Many states merged: looked up by id, not gone through for each of them. */
typedef struct Counts Counts;

/* Where a replica's entry is, or would be, in a body. */
typedef struct CountsPlace
{
	int			index;			/* entries before it */
	CrdtReader	before;			/* all entries of smaller ids */
	CrdtReader	own;			/* the entry; empty if there is none */
	CrdtReader	behind;			/* all entries of larger ids */
} CountsPlace;

extern CountsPlace counts_find(CrdtReader body, uint64 id, int width);
extern void counts_merge(CrdtBuffer *out, CrdtReader a, CrdtReader b, int width);

extern Counts *counts_create(MemoryContext context, int width);
extern void counts_add(Counts *counts, CrdtReader body);
extern void counts_write(CrdtBuffer *out, const Counts *counts);

#endif							/* CONSISTENCY_CRDT_COUNTS_H */
