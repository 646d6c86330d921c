/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Doing what may fail, and going on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "core/attempt.h"

/*
 * attempt
 *		Do the work in a subtransaction.
 *
 * Returns NULL if it is done.  Else all of it was undone, and the error is returned,
 * in the caller's memory context, to be raised by ReThrowError() or dropped.  That
 * somebody has cancelled the query is no failure of the work: it is raised again.
 */
ErrorData *
attempt(attempt_fn work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	/* Left open, it would be taken for one of the client's. */
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}
