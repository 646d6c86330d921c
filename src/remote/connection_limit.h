/*-------------------------------------------------------------------------
 *
 * connection_limit.h
 *	  How many connections this server has to each other node.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONNECTION_LIMIT_H
#define CONSISTENCY_CONNECTION_LIMIT_H

#include "utils/timestamp.h"

/* what connection_limit_take() returns where nothing is counted */
#define CONNECTION_NOT_COUNTED (-1)

extern void connection_limit_init(void);
extern uint64 connection_limit_node(const char *host, const char *port);
extern int	connection_limit_count(uint64 node);
extern bool connection_limit_take(uint64 node, TimestampTz deadline, int *place);
extern void connection_limit_give_back(int place);
extern void connection_limit_in_use(int place);
extern void connection_limit_idle(int place, TimestampTz closes_at);
extern bool connection_limit_is_waited_for(void);

#endif							/* CONSISTENCY_CONNECTION_LIMIT_H */
