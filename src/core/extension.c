/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  Is the extension created in this database?
 *
 * A preloaded library is in every database of the cluster, but must do nothing
 * where the extension wasn't created.  pg_extension has no cache, so we look
 * for the foreign-data wrapper that is part of the extension: that is a
 * cached look-up, and tells us when it changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/extension.h"

bool		extension_known = false;
bool		extension_created = false;

static bool callback_registered = false;

/* invalidations that came in */
static uint64 changes = 0;

static void forget_extension(Datum arg, int cacheid, uint32 hashvalue);

/* Look into the catalog and remember the answer until it changes. */
bool
extension_lookup(void)
{
	uint64		before;

	if (!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return false;

	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, forget_extension, (Datum) 0);
		callback_registered = true;
	}

	/* An answer that was overtaken by a change is good for this once. */
	before = changes;
	extension_created =
		GetForeignDataWrapperByName(EXTENSION_FDW_NAME, true) != NULL;
	extension_known = (changes == before);
	return extension_created;
}

/* Is it the schema of what an administrator calls? */
bool
extension_owns_schema(Oid namespace)
{
	return namespace == get_namespace_oid(EXTENSION_SCHEMA_NAME, true);
}

/* A relation in that schema; an error if it isn't there. */
Oid
extension_relation(const char *name)
{
	Oid			relation = get_relname_relid(name, get_namespace_oid(EXTENSION_SCHEMA_NAME, false));

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", EXTENSION_SCHEMA_NAME, name),
				 errhint("It belongs to the extension: update that, or create it anew.")));
	return relation;
}

/* Who owns such a relation, and may do there what users may not. */
Oid
extension_relation_owner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
forget_extension(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
	extension_known = false;
}
