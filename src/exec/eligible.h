/*-------------------------------------------------------------------------
 *
 * eligible.h
 *	  May this query leave the server?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ELIGIBLE_H
#define CONSISTENCY_ELIGIBLE_H

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

/* What else the look at a query has brought to light */
typedef struct EligibleInfo
{
	int			nlocal;			/* expressions to evaluate here: now(),
								 * current_user, ... */
	List	   *literals;		/* integer Consts that stand in the
								 * statement's text */
	bool		has_groups;		/* GROUP BY or DISTINCT somewhere */
	int			nparams;		/* highest number of a parameter */
	List	   *param_types;	/* OID list, 1 to nparams; InvalidOid where
								 * unused */
} EligibleInfo;

extern bool eligible_query(Query *query, EligibleInfo *info);
extern bool eligible_plan(const PlannedStmt *plan);
extern bool eligible_is_local_expression(Node *node);

#endif							/* CONSISTENCY_ELIGIBLE_H */
