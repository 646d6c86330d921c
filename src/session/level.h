/*-------------------------------------------------------------------------
 *
 * level.h
 *	  The consistency levels and the setting that declares them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_LEVEL_H
#define CONSISTENCY_LEVEL_H

/* Sorted from what promises least to what promises most. */
typedef enum ConsistencyLevel
{
	LEVEL_UNSET = 0,			/* nothing declared: the default level counts */
	LEVEL_WEAK,
	LEVEL_EVENTUAL,
	LEVEL_SESSION,
	LEVEL_BOUNDED,
	LEVEL_CAUSAL,
	LEVEL_SEQUENTIAL,
	LEVEL_LINEARIZABLE
} ConsistencyLevel;

extern void level_init(void);

extern ConsistencyLevel level_declared(void);
extern ConsistencyLevel level_default(void);
extern ConsistencyLevel level_minimum(void);
extern ConsistencyLevel level_current(void);
extern ConsistencyLevel level_parse(const char *name);
extern const char *level_name(ConsistencyLevel level);

#endif							/* CONSISTENCY_LEVEL_H */
