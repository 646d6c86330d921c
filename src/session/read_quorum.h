/*-------------------------------------------------------------------------
 *
 * read_quorum.h
 *	  How many nodes a read asks how far they are, and what they told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_READ_QUORUM_H
#define CONSISTENCY_READ_QUORUM_H

#include "core/position.h"

/*
 * Several parties may ask for a quorum each.  Until the number of nodes is
 * known, a majority and a number can't be compared: so each is kept.
 */
typedef struct ReadQuorum
{
	/* what is asked for, by all parties together */
	int			number;			/* so many nodes; 0 or 1: no quorum */
	bool		majority;
	bool		all;

	/* what came of it, for this statement */
	int			gathered;		/* so many nodes were to answer, and have; 0:
								 * nobody was asked yet */
	Position	position;		/* the highest of R answers, our own among
								 * them */
	Position	shown;			/* the highest of the other nodes */
	bool		holds_here;		/* new snapshots of this server show it */
} ReadQuorum;

/* Is there more to ask than this server? */
static inline bool
read_quorum_is_asked(const ReadQuorum *quorum)
{
	return quorum->number > 1 || quorum->majority || quorum->all;
}

extern void read_quorum_add(ReadQuorum *quorum, int setting);
extern bool read_quorum_covers(const ReadQuorum *quorum, const ReadQuorum *other);
extern int	read_quorum_nodes(const ReadQuorum *quorum, int members);
extern const char *read_quorum_text(const ReadQuorum *quorum, int members);

#endif							/* CONSISTENCY_READ_QUORUM_H */
