/*-------------------------------------------------------------------------
 *
 * forward_hold.c
 *	  Cursors WITH HOLD of a transaction whose commit fails.
 *
 * PostgreSQL makes them outlive the transaction when nothing can fail any more,
 * as it sees it.  Behind that comes the commit at the primary.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/portal.h"

#include "exec/forward_hold.h"

/* Names of those that the transaction has declared (char *) */
static List *declared = NIL;

/* A cursor was declared. */
void
forward_hold_note(const DeclareCursorStmt *statement)
{
	MemoryContext old;

	if ((statement->options & CURSOR_OPT_HOLD) == 0)
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	declared = lappend(declared, pstrdup(statement->portalname));
	MemoryContextSwitchTo(old);
}

/*
 * The transaction is aborted: cursors that were made to outlive it never were.
 * It was about to commit, then.
 */
void
forward_hold_drop(void)
{
	ListCell   *cell;

	foreach(cell, declared)
	{
		Portal		portal = GetPortalByName(lfirst(cell));

		if (PortalIsValid(portal) && portal->holdStore &&
			portal->createSubid == InvalidSubTransactionId)
			PortalDrop(portal, false);
	}
}

/* The transaction is over. */
void
forward_hold_forget(void)
{
	declared = NIL;
}
