/*-------------------------------------------------------------------------
 *
 * read_quorum.c
 *	  How many nodes a read asks how far they are.
 *
 * Pure.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "session/quorum.h"
#include "session/read_quorum.h"

/* One more party asks for this, in the terms of quorum_parse(). */
void
read_quorum_add(ReadQuorum *quorum, int setting)
{
	switch (setting)
	{
		case QUORUM_MAJORITY:
			quorum->majority = true;
			break;
		case QUORUM_ALL:
			quorum->all = true;
			break;
		default:
			quorum->number = Max(quorum->number, setting);
			break;
	}
}

/* Does what is asked for contain all that the other one asks for? */
bool
read_quorum_covers(const ReadQuorum *quorum, const ReadQuorum *other)
{
	return quorum->all >= other->all &&
		(quorum->all || quorum->majority >= other->majority) &&
		(quorum->number >= other->number || other->number <= 1);
}

/* How many nodes that are, of so many; more than there are if that is asked for. */
int
read_quorum_nodes(const ReadQuorum *quorum, int members)
{
	int			nodes = Max(quorum->number, 1);

	if (quorum->majority)
		nodes = Max(nodes, quorum_nodes(QUORUM_MAJORITY, members));
	if (quorum->all)
		nodes = Max(nodes, quorum_nodes(QUORUM_ALL, members));
	return nodes;
}

/*
 * What is asked for, as one setting says it: a constant, or palloc'd.  "members":
 * how many nodes there are, 0 if that isn't known; it matters only where several
 * parties ask.
 */
const char *
read_quorum_text(const ReadQuorum *quorum, int members)
{
	bool		counts = quorum->number > 1;

	if (counts && (quorum->majority || quorum->all) && members > 0)
		return quorum_text(read_quorum_nodes(quorum, members));
	if (quorum->all)
		return quorum_text(QUORUM_ALL);
	if (quorum->majority)
		return quorum_text(QUORUM_MAJORITY);
	return quorum_text(counts ? quorum->number : QUORUM_ONE);
}
