/*-------------------------------------------------------------------------
 *
 * routed_plan.c
 *	  The plan of a query that may leave: a custom scan around the local plan.
 *
 * The scan takes the whole query's place.  Its columns are those of a made-up
 * range table entry "remote", so that EXPLAIN VERBOSE has names for them.  The
 * local plan is kept as a whole statement, to be run by an executor of its own
 * where the query stays: that one can then take a snapshot of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "exec/routed_plan.h"

static RangeTblEntry *make_remote_rte(List *targetlist);

/* Does a plan decide for itself where it runs? */
bool
routed_plan_is_routed(const PlannedStmt *plan)
{
	return plan->planTree != NULL && IsA(plan->planTree, CustomScan) &&
		strcmp(((CustomScan *) plan->planTree)->methods->CustomName,
			   ROUTED_PLAN_SCAN_NAME) == 0;
}

/*
 * routed_plan_make
 *		Wrap a finished plan.  The result shares structure with it.
 */
PlannedStmt *
routed_plan_make(PlannedStmt *local, const RemoteSql *sql, const CustomScanMethods *methods)
{
	PlannedStmt *routed = makeNode(PlannedStmt);
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *plan = local->planTree;

	scan->scan.plan.startup_cost = plan->startup_cost;
	scan->scan.plan.total_cost = plan->total_cost;
	scan->scan.plan.plan_rows = plan->plan_rows;
	scan->scan.plan.plan_width = plan->plan_width;
	scan->methods = methods;
	scan->custom_private = list_make4(local, makeString(sql->text), sql->param_types,
									  sql->local_exprs);

	memcpy(routed, local, sizeof(PlannedStmt));
	routed->rtable = list_copy(local->rtable);
	routed_plan_set_columns(routed, scan, plan->targetlist);
	return routed;
}

/*
 * routed_plan_set_columns
 *		Make the scan the plan of a statement.  Its columns are those of a target
 *		list.
 */
void
routed_plan_set_columns(PlannedStmt *plan, CustomScan *scan, List *targetlist)
{
	Index		rtindex = list_length(plan->rtable) + 1;
	ListCell   *cell;

	foreach(cell, targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Oid			type = exprType((Node *) entry->expr);
		int32		typmod = exprTypmod((Node *) entry->expr);
		Oid			collation = exprCollation((Node *) entry->expr);
		Expr	   *in;
		Expr	   *out;
		TargetEntry *column;

		if (entry->resjunk)
			continue;
		in = (Expr *) makeVar(rtindex, entry->resno, type, typmod, collation, 0);
		out = (Expr *) makeVar(INDEX_VAR, entry->resno, type, typmod, collation, 0);
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry(in, entry->resno, entry->resname, false));
		column = makeTargetEntry(out, entry->resno, entry->resname, false);
		column->resorigtbl = entry->resorigtbl;
		column->resorigcol = entry->resorigcol;
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, column);
	}
	scan->scan.scanrelid = 0;
	plan->planTree = (Plan *) scan;
	plan->rtable = lappend(plan->rtable, make_remote_rte(scan->custom_scan_tlist));
}

/* Nothing ever reads it; it only has names. */
static RangeTblEntry *
make_remote_rte(List *targetlist)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		names = lappend(names, makeString(pstrdup(entry->resname ? entry->resname : "?column?")));
	}
	rte->rtekind = RTE_VALUES;
	rte->eref = makeAlias("remote", names);
	return rte;
}
