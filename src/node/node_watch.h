/*-------------------------------------------------------------------------
 *
 * node_watch.h
 *	  Notices in a session that the nodes declared have changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_WATCH_H
#define CONSISTENCY_NODE_WATCH_H

extern void node_watch_init(void);

#endif							/* CONSISTENCY_NODE_WATCH_H */
