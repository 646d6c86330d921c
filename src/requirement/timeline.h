/*-------------------------------------------------------------------------
 *
 * timeline.h
 *	  Does a position still exist in the history of this server?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TIMELINE_H
#define CONSISTENCY_TIMELINE_H

#include "core/position.h"

typedef enum TimelineVerdict
{
	TIMELINE_SAME,				/* compare LSNs */
	TIMELINE_PAST,				/* of an older timeline, before its switch
								 * point: compare LSNs */
	TIMELINE_LOST,				/* of an older timeline, beyond its switch
								 * point */
	TIMELINE_AHEAD				/* of a timeline that this server doesn't
								 * follow (yet) */
} TimelineVerdict;

extern TimelineVerdict timeline_judge(Position position, TimeLineID current);
extern void timeline_error_lost(Position position, TimeLineID current) pg_attribute_noreturn();
extern void timeline_error_ahead(Position position, TimeLineID current) pg_attribute_noreturn();

#endif							/* CONSISTENCY_TIMELINE_H */
