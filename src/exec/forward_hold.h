/*-------------------------------------------------------------------------
 *
 * forward_hold.h
 *	  Cursors WITH HOLD of a transaction whose commit fails.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_HOLD_H
#define CONSISTENCY_FORWARD_HOLD_H

#include "nodes/parsenodes.h"

extern void forward_hold_note(const DeclareCursorStmt *statement);
extern void forward_hold_drop(void);
extern void forward_hold_forget(void);

#endif							/* CONSISTENCY_FORWARD_HOLD_H */
