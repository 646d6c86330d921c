/*-------------------------------------------------------------------------
 *
 * drop_guard.c
 *	  The extension isn't dropped while its database is in a group.
 *
 * What connects the members are PostgreSQL's own objects: subscriptions would go
 * on without it and apply rows to tables that don't merge any more, and slots, here
 * and at the other members, would keep their log.  leave_group() takes them away.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "core/extension.h"
#include "group/drop_guard.h"
#include "group/group.h"

/* the name of the extension is that of its schema */
#define EXTENSION_NAME EXTENSION_SCHEMA_NAME

#define GROUP_QUERY "SELECT g.group_name, g.member FROM consistency.groups g ORDER BY 1"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void guard(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc);
static bool drops_extension(const Node *statement);
static void refuse_in_group(void);

/* Only while the library is being preloaded, as there are no groups otherwise. */
void
drop_guard_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = guard;
}

static void
guard(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
	  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
	  DestReceiver *dest, QueryCompletion *qc)
{
	if (drops_extension(pstmt->utilityStmt) && extension_is_created())
		refuse_in_group();
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

static bool
drops_extension(const Node *statement)
{
	ListCell   *cell;

	if (!IsA(statement, DropStmt) || ((const DropStmt *) statement)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(cell, ((const DropStmt *) statement)->objects)
	{
		if (strcmp(strVal(lfirst(cell)), EXTENSION_NAME) == 0)
			return true;
	}
	return false;
}

/* Who isn't allowed to look is told so: he isn't to drop it either. */
static void
refuse_in_group(void)
{
	TextRow    *row = group_select_row(GROUP_QUERY);

	if (row == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop extension %s: this database is member \"%s\" of group \"%s\"",
					EXTENSION_NAME, row->values[1], row->values[0]),
			 errdetail("The other members would go on keeping their log for it."),
			 errhint("Leave the group first: SELECT * FROM consistency.leave_group(%s, %s);",
					 quote_literal_cstr(row->values[0]), quote_literal_cstr(row->values[1]))));
}
