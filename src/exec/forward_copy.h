/*-------------------------------------------------------------------------
 *
 * forward_copy.h
 *	  COPY between a replica's client and the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_COPY_H
#define CONSISTENCY_FORWARD_COPY_H

#include "exec/forward_statement.h"

extern void forward_copy(ForwardStatement *statement);

#endif							/* CONSISTENCY_FORWARD_COPY_H */
