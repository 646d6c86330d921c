/*-------------------------------------------------------------------------
 *
 * policy_stats.h
 *	  Reads of tables that have a policy: consistency.stat_tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_POLICY_STATS_H
#define CONSISTENCY_POLICY_STATS_H

#include "stats/last_read.h"

extern void policy_stats_init(void);
extern void policy_stats_count(const Declaration *declaration, ReadPlace place, const LastRead *record);
extern void policy_stats_reset(void);

#endif							/* CONSISTENCY_POLICY_STATS_H */
