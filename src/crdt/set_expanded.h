/*-------------------------------------------------------------------------
 *
 * set_expanded.h
 *	  Large sets while they are being changed, as expanded objects.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_SET_EXPANDED_H
#define CONSISTENCY_CRDT_SET_EXPANDED_H

#include "crdt/crdt.h"

extern bool set_expanded_change(Datum value, CrdtType type, CrdtReader payload, bool adds,
								Datum *result);
extern bool set_expanded_is_member(Datum value, CrdtReader payload, bool *is_member);

#endif							/* CONSISTENCY_CRDT_SET_EXPANDED_H */
