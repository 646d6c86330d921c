/*-------------------------------------------------------------------------
 *
 * position.h
 *	  A position in the write-ahead log of one cluster.
 *
 * A position is (system identifier, timeline, LSN).  Only positions of the
 * own cluster are ever kept, so that the struct needs no system identifier;
 * tokens, which travel, carry it in their text (see session/token.h).
 *
 * Positions are ordered by timeline, then by LSN.  Along the history of one
 * server that order is the order of time: a promotion starts the new timeline
 * at or behind everything that the promoted server had replayed.  Whether a
 * position of an older timeline still exists after a promotion is a question
 * that only the timeline history can answer: requirement/timeline.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_POSITION_H
#define CONSISTENCY_POSITION_H

#include "access/xlogdefs.h"

typedef struct Position
{
	TimeLineID	tli;			/* 0: no position, the lowest of all */
	XLogRecPtr	lsn;			/* end of the last record that counts */
} Position;

#define POSITION_NONE ((Position) {0, InvalidXLogRecPtr})

static inline bool
position_is_set(Position p)
{
	return p.tli != 0;
}

/* Is a before b? */
static inline bool
position_before(Position a, Position b)
{
	return a.tli < b.tli || (a.tli == b.tli && a.lsn < b.lsn);
}

static inline Position
position_max(Position a, Position b)
{
	return position_before(a, b) ? b : a;
}

static inline bool
position_equal(Position a, Position b)
{
	return a.tli == b.tli && a.lsn == b.lsn;
}

/* "1:0/3000148", for messages; buf holds POSITION_TEXT_SIZE bytes */
#define POSITION_TEXT_SIZE 32
extern char *position_text(Position p, char *buf);

#endif							/* CONSISTENCY_POSITION_H */
