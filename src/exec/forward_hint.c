/*-------------------------------------------------------------------------
 *
 * forward_hint.c
 *	  Hints for errors that come of a transaction running at the primary.
 *
 * A statement is analysed here, by the catalogs of this server.  What the
 * transaction has made at the primary isn't in them before it is committed and
 * replayed.  And a cursor that was opened here, ahead of the transaction's first
 * write, isn't known there.  PostgreSQL's errors for that would be a riddle.
 *
 * They pass here on their way to the log, ahead of that to the client.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/elog.h"
#include "utils/memutils.h"

#include "exec/forward_hint.h"
#include "exec/forward_own_lock.h"
#include "exec/forward_transaction.h"
#include "remote/remote_error.h"

static emit_log_hook_type prev_emit_log = NULL;

static void add_hint(ErrorData *error);
static const char *hint_for(const ErrorData *error);
static bool tells_of_unknown_object(int sqlstate);

/* Install the hook. */
void
forward_hint_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = add_hint;
}

static void
add_hint(ErrorData *error)
{
	const char *hint;

	forward_own_lock_explain(error);
	hint = error->elevel == ERROR ? hint_for(error) : NULL;
	if (hint)
	{
		MemoryContext old = MemoryContextSwitchTo(error->assoc_context);

		error->hint = error->hint ? psprintf("%s %s", error->hint, hint) : pstrdup(hint);
		MemoryContextSwitchTo(old);
	}
	if (prev_emit_log)
		prev_emit_log(error);
}

static const char *
hint_for(const ErrorData *error)
{
	bool		from_primary = remote_error_is_raised(error);

	if (!from_primary && tells_of_unknown_object(error->sqlerrcode) &&
		forward_transaction_has_changed_catalogs())
		return "What this transaction has defined at the primary is known at this replica only after COMMIT.";
	if (from_primary && error->sqlerrcode == ERRCODE_UNDEFINED_CURSOR)
		return "A cursor that was declared ahead of the transaction's first write is known at this replica only. Declare it FOR UPDATE.";
	return NULL;
}

static bool
tells_of_unknown_object(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_INVALID_SCHEMA_NAME:
			return true;
		default:
			return false;
	}
}
