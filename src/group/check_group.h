/*-------------------------------------------------------------------------
 *
 * check_group.h
 *	  What is wrong with the groups that this database is in, for
 *	  consistency.check().
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CHECK_GROUP_H
#define CONSISTENCY_CHECK_GROUP_H

extern void check_group_init(void);

#endif							/* CONSISTENCY_CHECK_GROUP_H */
