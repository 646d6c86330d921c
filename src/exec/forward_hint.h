/*-------------------------------------------------------------------------
 *
 * forward_hint.h
 *	  Hints for errors that come of a transaction running at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_HINT_H
#define CONSISTENCY_FORWARD_HINT_H

extern void forward_hint_init(void);

#endif							/* CONSISTENCY_FORWARD_HINT_H */
