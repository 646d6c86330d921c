/*-------------------------------------------------------------------------
 *
 * member.h
 *	  Who this database is among the members of a group.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_MEMBER_H
#define CONSISTENCY_MEMBER_H

extern void member_init(void);
extern const char *member_name(void);
extern Oid	member_server(const char *name);
extern void member_require_name(void);
extern void member_require_known(const char *name);

#endif							/* CONSISTENCY_MEMBER_H */
