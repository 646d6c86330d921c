/*-------------------------------------------------------------------------
 *
 * commit_position.h
 *	  The highest position that a snapshot just taken can have seen.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMMIT_POSITION_H
#define CONSISTENCY_COMMIT_POSITION_H

#include "core/position.h"


extern Position commit_position_bound(void);

#endif							/* CONSISTENCY_COMMIT_POSITION_H */
