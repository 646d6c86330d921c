/*-------------------------------------------------------------------------
 *
 * write_quorum.h
 *	  A commit is acknowledged when enough nodes have applied it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WRITE_QUORUM_H
#define CONSISTENCY_WRITE_QUORUM_H

extern void write_quorum_init(void);
extern void write_quorum_before_prepared(void);

#endif							/* CONSISTENCY_WRITE_QUORUM_H */
