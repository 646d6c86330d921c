/*-------------------------------------------------------------------------
 *
 * node_members.h
 *	  Does the shared picture have the nodes that the catalogs declare?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_MEMBERS_H
#define CONSISTENCY_NODE_MEMBERS_H

extern void node_members_init(void);
extern bool node_members_are_known(void);
extern uint32 node_members_version(void);

#endif							/* CONSISTENCY_NODE_MEMBERS_H */
