/*-------------------------------------------------------------------------
 *
 * table_access.c
 *	  Which tables can be verified, and by whom.
 *
 * A digest tells whether a guess of a row is right.  So who asks for one must be
 * allowed to read all columns of all rows.  As for a query, rights on a table are
 * rights on its partitions and on what inherits from it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "verify/table_access.h"

static const char *why_not(Relation relation);
static void check_rights(Oid root);

/*
 * table_access_check
 *		Error out unless the current role may verify a table, and it can be.
 *
 * Leaves it locked.
 */
void
table_access_check(Oid root)
{
	Relation	relation = table_open(root, AccessShareLock);
	const char *reason = why_not(relation);

	if (reason && relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot verify \"%s\": %s", RelationGetRelationName(relation), reason),
				 errhint("Tables and materialized views that are replicated can be verified.")));
	table_close(relation, NoLock);
	check_rights(root);
}

/*
 * table_access_parts
 *		What holds a table's rows, sorted: itself, its partitions, and what
 *		inherits from it.
 */
List *
table_access_parts(Oid root, bool warn)
{
	List	   *parts = NIL;
	ListCell   *cell;

	foreach(cell, find_all_inheritors(root, AccessShareLock, NULL))
	{
		Relation	relation = table_open(lfirst_oid(cell), NoLock);
		const char *reason = why_not(relation);

		if (reason == NULL)
			parts = lappend_oid(parts, RelationGetRelid(relation));
		else if (warn && relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
			ereport(WARNING,
					(errmsg("\"%s\" is left out: %s", RelationGetRelationName(relation), reason)));
		table_close(relation, NoLock);
	}
	list_sort(parts, list_oid_cmp);
	return parts;
}

/*
 * table_access_open
 *		Lock and open what holds rows of a table, if the current role may read
 *		all of them.  NULL if it is gone or belongs to that table no more, and
 *		that is no error.
 */
Relation
table_access_open(Oid root, Oid part, bool missing_ok)
{
	Relation	relation;
	const char *reason;

	table_access_check(root);
	LockRelationOid(part, AccessShareLock);
	if (part != root &&
		(get_rel_relkind(part) == '\0' ||
		 !typeInheritsFrom(get_rel_type_id(part), get_rel_type_id(root))))
	{
		UnlockRelationOid(part, AccessShareLock);
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u is no part of \"%s\"", part, get_rel_name(root))));
	}
	relation = table_open(part, NoLock);
	reason = why_not(relation);
	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot verify \"%s\": %s", RelationGetRelationName(relation), reason)));
	return relation;
}

/* Why a relation can't be verified; NULL if it can. */
static const char *
why_not(Relation relation)
{
	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		return "its rows are in its partitions";
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_MATVIEW)
		return "it is no table";
	if (relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return "it is not replicated";
	if (relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		return "its access method is not heap";
	/* Some of their rows are changed in place, in no transaction. */
	if (IsCatalogRelation(relation))
		return "it is a system catalog";
	return NULL;
}

static void
check_rights(Oid root)
{
	Oid			role = GetUserId();

	if (pg_class_aclcheck(root, role, ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(root, role, ACL_SELECT, ACLMASK_ALL) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(root)),
					   get_rel_name(root));
	if (check_enable_rls(root, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security of \"%s\" hides rows from role \"%s\"",
						get_rel_name(root), GetUserNameFromId(role, false)),
				 errhint("Verify it as a role that sees all rows: a superuser, one with BYPASSRLS, or its owner unless row security is forced.")));
}
