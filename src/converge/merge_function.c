/*-------------------------------------------------------------------------
 *
 * merge_function.c
 *	  Columns that are merged by a function of the user's.
 *
 * It has to be commutative, associative and idempotent; that can't be proved here.
 * What can be done: it gets its arguments in the same order everywhere, whichever
 * of them is the local one.
 *
 * Replication must not stop because of it.  If it fails, the value with the larger
 * text is kept, and that is noted.
 *
 * It is called as the table's owner, and can do nothing that outlives the call,
 * since replication runs with other rights than those who wrote it have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "converge/merge_function.h"
#include "converge/row_text.h"
#include "core/attempt.h"
#include "core/compat.h"

/* A call of a function, and what it has returned */
typedef struct MergeCall
{
	Relation	relation;
	ColumnRule *column;
	Datum		a;
	Datum		b;
	Datum		result;
} MergeCall;

static bool try_call(MergeCall *call);
static void call_as_owner(void *arg);
static void note_failure(Relation relation, ColumnRule *column, const RowImage *a, const RowImage *b);

/* The values differ, and none is null. */
Datum
merge_function_call(Relation relation, ColumnRule *column, const RowImage *a, const RowImage *b, bool *isnull)
{
	int			i = column->number - 1;
	MergeCall	call = {.relation = relation,.column = column,.a = a->values[i],.b = b->values[i]};

	*isnull = false;
	if (strcmp(row_text_value(column, a->values[i]), row_text_value(column, b->values[i])) < 0)
	{
		call.a = b->values[i];
		call.b = a->values[i];
	}
	if (try_call(&call))
		return call.result;
	note_failure(relation, column, a, b);
	return call.a;
}

/* False if it raised an error or returned null. */
static bool
try_call(MergeCall *call)
{
	ErrorData  *error = attempt(call_as_owner, call);

	if (error != NULL)
		ereport(LOG,
				(errmsg("merging column \"%s\" of table \"%s\" failed: %s",
						call->column->name, RelationGetRelationName(call->relation), error->message)));
	return error == NULL;
}

static void
call_as_owner(void *arg)
{
	MergeCall  *call = arg;
	ColumnRule *column = call->column;
	Oid			owner = call->relation->rd_rel->relowner;
	Oid			user;
	int			context;
	int			nesting = NewGUCNestLevel();
	Datum		result;

	if (!OidIsValid(column->function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("there is no function any more that can merge the column"),
				 errhint("MergeCall consistency.attach() for the table.")));
	if (COMPAT_FUNCTION_ACLCHECK(column->function, owner) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(column->function));
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	result = OidFunctionCall2Coll(column->function, column->collation, call->a, call->b);
	/* What doesn't fit into the column would stop replication elsewhere. */
	if (column->typmod >= 0)
		result = row_text_parse(column, row_text_value(column, result));
	AtEOXact_GUC(true, nesting);
	SetUserIdAndSecContext(user, context);
	call->result = datumCopy(result, column->byval, column->length);
}

static void
note_failure(Relation relation, ColumnRule *column, const RowImage *a, const RowImage *b)
{
	Conflict	conflict = {
		.kind = CONFLICT_MERGE_FUNCTION,
		.resolution = RESOLUTION_KEPT_LOCAL,
		.column = column->number,
		.local = a->tuple,
		.incoming = b->tuple,
		.local_version = &a->version,
		.incoming_version = &b->version,
	};

	conflict_note(relation, &conflict);
}
