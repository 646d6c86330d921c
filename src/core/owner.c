/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  Writing to the extension's own tables on behalf of whoever has called us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "core/extension.h"
#include "core/owner.h"

/*
 * owner_become
 *		Take on the rights of the owner of one of the extension's tables.
 *
 * Names and operators are looked up in pg_catalog alone, whatever the caller has
 * in his search_path.  And what we write isn't what logical replication brings,
 * whatever his session_replication_role is: that would be dropped.
 */
OwnerRights
owner_become(const char *table)
{
	OwnerRights rights;

	GetUserIdAndSecContext(&rights.user, &rights.context);
	SetUserIdAndSecContext(extension_relation_owner(extension_relation(table)),
						   rights.context | SECURITY_LOCAL_USERID_CHANGE);
	rights.guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("session_replication_role", "origin", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return rights;
}

/* Give them back.  The end of a transaction that fails does that, too. */
void
owner_be_oneself(const OwnerRights *rights)
{
	AtEOXact_GUC(false, rights->guc_level);
	SetUserIdAndSecContext(rights->user, rights->context);
}
