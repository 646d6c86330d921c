/*-------------------------------------------------------------------------
 *
 * quorum.h
 *	  How many nodes must have a write, and how many a read asks.
 *
 * With R + W > N, of N nodes, each read asks at least one node that has each
 * acknowledged write (Gifford 1979).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_QUORUM_H
#define CONSISTENCY_QUORUM_H

/* What a setting says: a number of nodes, or one of these */
#define QUORUM_UNSET	0		/* nothing is said, in a policy */
#define QUORUM_MAJORITY	(-1)
#define QUORUM_ALL		(-2)

/* "one" */
#define QUORUM_ONE		1

/* as many nodes as there can be: NODE_STATE_MAX_NODES */
#define QUORUM_MAX		64

#define QUORUM_HINT "Use \"one\", \"quorum\" (a majority), \"all\", or a number of nodes from 1 to 64."

extern void quorum_init(void);
extern int	quorum_write_setting(void);
extern int	quorum_read_setting(void);
extern bool quorum_parse(const char *text, int *quorum);
extern const char *quorum_text(int quorum);
extern int	quorum_nodes(int quorum, int members);
extern int	quorum_stronger(int quorum, int other, int members);

#endif							/* CONSISTENCY_QUORUM_H */
