/*-------------------------------------------------------------------------
 *
 * applied.h
 *	  How many of the declared nodes have applied a position.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_APPLIED_H
#define CONSISTENCY_APPLIED_H

#include "access/xlogdefs.h"

/* How far a position got */
typedef struct Applied
{
	int			members;		/* nodes that this database declares */
	int			nodes;			/* of these, that have applied it */
	bool		self;			/* this server is one of the members */
	bool		unheard;		/* of some others nobody tells at once */
	uint32		generation;		/* of what is declared */
} Applied;

extern void applied_init(void);
extern Applied applied_look(XLogRecPtr lsn);
extern Applied applied_look_everywhere(XLogRecPtr lsn);
extern bool applied_acknowledge(XLogRecPtr lsn, uint32 generation);
extern XLogRecPtr applied_acknowledged(void);
extern void applied_wait_begin(XLogRecPtr lsn);
extern void applied_wait_end(void);

#endif							/* CONSISTENCY_APPLIED_H */
