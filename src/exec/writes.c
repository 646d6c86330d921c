/*-------------------------------------------------------------------------
 *
 * writes.c
 *	  Does a query need the primary, whatever its consistency level is?
 *
 * It does if it changes rows or locks them, has the right to (what a rule has made
 * of a change), reads what a replica doesn't have (unlogged tables) or has a later
 * state of (sequences, whose log runs ahead of them), or calls a function that may
 * write.  That is told from the rewritten query, with views and row security
 * policies in it.
 *
 * Of functions, a volatile one that is written in SQL or a procedural language
 * may do anything.  One in C writes no rows as a rule; those of extensions that
 * are volatile mostly tell about the server that they run at, as
 * pg_stat_statements does.  Of PostgreSQL's own, those that need the primary are
 * listed here, and some of ours: the others tell about the server that they run
 * at.  A function that is labelled stable can't write: PostgreSQL sees to that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "exec/writes.h"

static bool advisory_walker(Node *node, void *context);
static bool function_is_advisory(Oid function, void *context);
static bool writes_walker(Node *node, void *context);
static bool reads_primarys(const Query *query);
static bool function_writes(Oid function, void *context);
static bool needs_primary(Form_pg_proc form);
static bool own_function_writes(Oid function);

/* Does a query, as it is after rewriting, need the primary? */
bool
writes_query(Query *query)
{
	return writes_walker((Node *) query, NULL);
}

/*
 * writes_advisory_locks
 *		Does it have to do with advisory locks?  These may belong to the session,
 *		and transactions that are read only may take them as well.
 */
bool
writes_advisory_locks(Query *query)
{
	return advisory_walker((Node *) query, NULL);
}

static bool
advisory_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, advisory_walker, context, 0);
	return check_functions_in_node(node, function_is_advisory, NULL) ||
		expression_tree_walker(node, advisory_walker, context);
}

static bool
function_is_advisory(Oid function, void *context)
{
	switch (function)
	{
		case F_PG_ADVISORY_LOCK_INT8:
		case F_PG_ADVISORY_LOCK_INT4_INT4:
		case F_PG_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_ADVISORY_UNLOCK_INT8:
		case F_PG_ADVISORY_UNLOCK_INT4_INT4:
		case F_PG_ADVISORY_UNLOCK_SHARED_INT8:
		case F_PG_ADVISORY_UNLOCK_SHARED_INT4_INT4:
		case F_PG_ADVISORY_UNLOCK_ALL:
		case F_PG_ADVISORY_XACT_LOCK_INT8:
		case F_PG_ADVISORY_XACT_LOCK_INT4_INT4:
		case F_PG_ADVISORY_XACT_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_XACT_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_INT8:
		case F_PG_TRY_ADVISORY_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_XACT_LOCK_INT8:
		case F_PG_TRY_ADVISORY_XACT_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_XACT_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_XACT_LOCK_SHARED_INT4_INT4:
			return true;
		default:
			return false;
	}
}

static bool
writes_walker(Node *node, void *context)
{
	Query	   *query;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
		case T_RangeTblRef:
		case T_Var:
			return false;		/* most of what there is */
		case T_NextValueExpr:
			return true;
		case T_Query:
			query = (Query *) node;
			return (query->commandType != CMD_SELECT && query->commandType != CMD_UTILITY) ||
				query->rowMarks != NIL || compat_query_may_write(query) || reads_primarys(query) ||
				query_tree_walker(query, writes_walker, context, 0);
		default:
			return check_functions_in_node(node, function_writes, NULL) ||
				expression_tree_walker(node, writes_walker, context);
	}
}

/* Does it read a relation that is right at the primary only? */
static bool
reads_primarys(const Query *query)
{
	ListCell   *cell;

	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			continue;
		if (rte->relkind == RELKIND_SEQUENCE ||
			get_rel_persistence(rte->relid) == RELPERSISTENCE_UNLOGGED)
			return true;
	}
	return false;
}

static bool
function_writes(Oid function, void *context)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		writes;

	if (function < FirstGenbkiObjectId)
		return own_function_writes(function);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	writes = form->provolatile == PROVOLATILE_VOLATILE &&
		(extension_owns_schema(form->pronamespace) ? needs_primary(form) :
		 form->prolang != INTERNALlanguageId && form->prolang != ClanguageId);
	ReleaseSysCache(tuple);
	return writes;
}

/* One of ours: does it set policies, or tell of a transaction? */
static bool
needs_primary(Form_pg_proc form)
{
	static const char *const names[] = {
		"apply_preset", "drop_policy", "set_policy", "transaction_status", "transaction_ticket",
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(NameStr(form->proname), names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Does one of PostgreSQL's own functions need the primary?  Advisory locks mean
 * something only where all who want them meet, and what a sequence or a large
 * object is like to the session, only where it changes them.
 */
static bool
own_function_writes(Oid function)
{
	switch (function)
	{
		case F_NEXTVAL:
		case F_CURRVAL:
		case F_LASTVAL:
		case F_PG_SEQUENCE_LAST_VALUE:
		case F_SETVAL_REGCLASS_INT8:
		case F_SETVAL_REGCLASS_INT8_BOOL:
		case F_TXID_CURRENT:
		case F_TXID_STATUS:
		case F_PG_CURRENT_XACT_ID:
		case F_PG_XACT_STATUS:
		case F_PG_NOTIFY:
		case COMPAT_F_EMIT_MESSAGE_TEXT:
		case COMPAT_F_EMIT_MESSAGE_BYTEA:
		case F_BRIN_DESUMMARIZE_RANGE:
		case F_BRIN_SUMMARIZE_NEW_VALUES:
		case F_BRIN_SUMMARIZE_RANGE:
		case F_GIN_CLEAN_PENDING_LIST:
		case F_LO_CREATE:
		case F_LO_CREAT:
		case F_LO_FROM_BYTEA:
		case F_LO_OPEN:
		case F_LO_PUT:
		case F_LO_UNLINK:
			return true;
		default:
			return function_is_advisory(function, NULL);
	}
}
