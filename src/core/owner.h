/*-------------------------------------------------------------------------
 *
 * owner.h
 *	  Writing to the extension's own tables on behalf of whoever has called us.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_OWNER_H
#define CONSISTENCY_OWNER_H

/* Who we were before we became a table's owner */
typedef struct OwnerRights
{
	Oid			user;
	int			context;
	int			guc_level;
} OwnerRights;

extern OwnerRights owner_become(const char *table);
extern void owner_be_oneself(const OwnerRights *rights);

#endif							/* CONSISTENCY_OWNER_H */
