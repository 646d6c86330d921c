/*-------------------------------------------------------------------------
 *
 * eligible.c
 *	  May this query leave the server?
 *
 * It may if another node that shows the same data gives the same answer, and
 * nothing but the answer comes of it.  That is decided from the query as it is
 * after rewriting, with views and row security policies in it, and, for what
 * only the planner finds (partitions, inheritance children), from the plan.
 *
 * Functions are taken by their word: a volatile one stays.  A function that is
 * labelled stable or immutable and isn't, is its owner's responsibility.  Of
 * PostgreSQL's own stable functions some depend on the server, the session or
 * the transaction.  Those that take no columns are evaluated here and sent as
 * parameters ("local expressions"); the rest stay.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "exec/eligible.h"

static bool stays_walker(Node *node, EligibleInfo *info);
static bool const_stays(Const *constant);
static bool query_stays(Query *query);
static bool result_type_stays(Query *query);
static void note_param(Param *param, EligibleInfo *info);
static bool function_stays(Oid function, void *context);
static bool may_fail(FuncExpr *call);
static bool is_carried_over(Node *node);
static bool is_local_function(Oid function);
static bool has_no_columns(Node *node);
static bool has_columns_walker(Node *node, void *context);

/*
 * eligible_query
 *		May a query leave, as far as the rewritten query tells?  Fills *info if
 *		it may.
 */
bool
eligible_query(Query *query, EligibleInfo *info)
{
	memset(info, 0, sizeof(*info));
	return !result_type_stays(query) && !stays_walker((Node *) query, info);
}

/*
 * eligible_plan
 *		May a query leave, as far as its plan tells?  Temporary, unlogged and
 *		foreign tables differ by server; without any table there is no point.
 */
bool
eligible_plan(const PlannedStmt *plan)
{
	ListCell   *cell;
	bool		has_table = false;

	if (plan->rowMarks != NIL || plan->hasModifyingCTE || plan->commandType != CMD_SELECT)
		return false;

	foreach(cell, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind != RTE_RELATION)
			continue;
		if (rte->relkind == RELKIND_FOREIGN_TABLE || rte->relkind == RELKIND_SEQUENCE ||
			get_rel_persistence(rte->relid) != RELPERSISTENCE_PERMANENT)
			return false;
		has_table = true;
	}
	return has_table;
}

/*
 * eligible_is_local_expression
 *		Is this the call of something that must be evaluated here, and can be?
 */
bool
eligible_is_local_expression(Node *node)
{
	if (IsA(node, SQLValueFunction))
		return !is_carried_over(node);
	return IsA(node, FuncExpr) && is_local_function(((FuncExpr *) node)->funcid) &&
		!is_carried_over(node) && has_no_columns(node) && !may_fail((FuncExpr *) node);
}

/* Of these functions one may raise an error, where no row may ask for it. */
static bool
may_fail(FuncExpr *call)
{
	Node	   *argument = call->args ? linitial(call->args) : NULL;

	if (call->funcid != F_CURRENT_SETTING_TEXT)
		return false;
	return !IsA(argument, Const) || ((Const *) argument)->constisnull ||
		GetConfigOption(TextDatumGetCString(((Const *) argument)->constvalue), true, false) == NULL;
}

/*
 * is_carried_over
 *		Does it give the same at the other node, since role, database and
 *		settings go along (remote/remote_settings.c)?
 *
 * Row security policies mostly depend on these two: the current role, and a
 * setting of the application's own.
 */
static bool
is_carried_over(Node *node)
{
	Node	   *argument;
	char	   *name;

	if (IsA(node, SQLValueFunction))
	{
		switch (((SQLValueFunction *) node)->op)
		{
			case SVFOP_CURRENT_ROLE:
			case SVFOP_CURRENT_USER:
			case SVFOP_USER:
			case SVFOP_CURRENT_CATALOG:
				return true;
			default:
				return false;
		}
	}

	if (!IsA(node, FuncExpr) ||
		(((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT &&
		 ((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT_BOOL))
		return false;
	argument = linitial(((FuncExpr *) node)->args);
	if (!IsA(argument, Const) || ((Const *) argument)->constisnull)
		return false;
	name = TextDatumGetCString(((Const *) argument)->constvalue);
	return strchr(name, '.') != NULL && strncmp(name, "consistency.", 12) != 0;
}

/* Is there anything in the tree that keeps the query here? */
static bool
stays_walker(Node *node, EligibleInfo *info)
{
	if (node == NULL)
		return false;

	if (eligible_is_local_expression(node))
	{
		info->nlocal++;
		/* its arguments may hold parameters */
		return expression_tree_walker(node, stays_walker, info);
	}

	switch (nodeTag(node))
	{
		case T_Query:
			info->has_groups |= ((Query *) node)->groupClause || ((Query *) node)->groupingSets ||
				((Query *) node)->distinctClause;
			return query_stays((Query *) node) ||
				query_tree_walker((Query *) node, stays_walker, info, 0);
		case T_Const:
			if (const_stays((Const *) node))
				return true;
			if (((Const *) node)->location >= 0 && ((Const *) node)->consttype == INT4OID &&
				!((Const *) node)->constisnull)
				info->literals = lappend(info->literals, node);
			return false;
		case T_Param:
			if (((Param *) node)->paramkind == PARAM_SUBLINK)
				return false;	/* a column of the subquery in the sublink */
			if (((Param *) node)->paramkind != PARAM_EXTERN)
				return true;
			note_param((Param *) node, info);
			return false;
		case T_NextValueExpr:
		case T_CurrentOfExpr:
		case T_TableSampleClause:
			return true;
		default:
			break;
	}

	if (!is_carried_over(node) && check_functions_in_node(node, function_stays, NULL))
		return true;
	return expression_tree_walker(node, stays_walker, info);
}

/*
 * The name of a temporary table means another one elsewhere.  (Those that are
 * read keep the query here anyhow.)
 */
static bool
const_stays(Const *constant)
{
	return constant->consttype == REGCLASSOID && !constant->constisnull &&
		OidIsValid(DatumGetObjectId(constant->constvalue)) &&
		isAnyTempNamespace(get_rel_namespace(DatumGetObjectId(constant->constvalue)));
}

/* Does this query, or subquery, as such stay? */
static bool
query_stays(Query *query)
{
	return query->commandType != CMD_SELECT || query->querySource != QSRC_ORIGINAL ||
		query->rowMarks != NIL || query->hasForUpdate || query->hasModifyingCTE;
}

/* Rows of a type without a name can't be read back. */
static bool
result_type_stays(Query *query)
{
	ListCell   *cell;

	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Oid			type = exprType((Node *) entry->expr);

		if (!entry->resjunk &&
			(get_typtype(type) == TYPTYPE_PSEUDO || type == RECORDARRAYOID))
			return true;
	}
	return false;
}

static void
note_param(Param *param, EligibleInfo *info)
{
	for (; info->nparams < param->paramid; info->nparams++)
		info->param_types = lappend_oid(info->param_types, InvalidOid);
	lfirst_oid(list_nth_cell(info->param_types, param->paramid - 1)) = param->paramtype;
}

/*
 * function_stays
 *		Does the answer of a function depend on where it is called?
 *
 * Of PostgreSQL's own stable functions, those named pg_... look at the server's
 * state: activity, locks, settings, sizes.
 */
static bool
function_stays(Oid function, void *context)
{
	char		volatility = func_volatile(function);
	char	   *name;
	bool		stays;

	if (volatility != PROVOLATILE_STABLE)
		return volatility == PROVOLATILE_VOLATILE;
	if (function >= FirstGenbkiObjectId)
		return false;
	if (is_local_function(function))
		return true;

	switch (function)
	{
		case F_PG_TYPEOF:
			return false;

			/* ages count from the server's next transaction or from today */
		case F_AGE_XID:
		case F_MXID_AGE:
		case F_AGE_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
			return true;
		default:
			break;
	}
	name = get_func_name(function);
	stays = name == NULL || strncmp(name, "pg_", 3) == 0 || strncmp(name, "txid_", 5) == 0;
	if (name)
		pfree(name);
	return stays;
}

/* Functions that tell about this session, this transaction or this server. */
static bool
is_local_function(Oid function)
{
	switch (function)
	{
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
		case F_CURRENT_DATABASE:
		case F_CURRENT_SCHEMA:
		case F_CURRENT_SCHEMAS:
		case F_CURRENT_USER:
		case F_SESSION_USER:
		case F_INET_CLIENT_ADDR:
		case F_INET_CLIENT_PORT:
		case F_INET_SERVER_ADDR:
		case F_INET_SERVER_PORT:
		case F_PG_BACKEND_PID:
		case F_PG_CONF_LOAD_TIME:
		case F_PG_POSTMASTER_START_TIME:
		case F_VERSION:
			return true;
		default:
			return false;
	}
}

/* Can it be evaluated before there is any row? */
static bool
has_no_columns(Node *node)
{
	return !has_columns_walker(node, NULL) && !contain_volatile_functions(node);
}

static bool
has_columns_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, SubLink) || IsA(node, Aggref) || IsA(node, GroupingFunc) ||
		IsA(node, WindowFunc) || IsA(node, Query))
		return true;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind != PARAM_EXTERN;
	return expression_tree_walker(node, has_columns_walker, context);
}
