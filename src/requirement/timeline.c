/*-------------------------------------------------------------------------
 *
 * timeline.c
 *	  Does a position still exist in the history of this server?
 *
 * A promotion ends the old timeline at the switch point and goes on with a new
 * one.  What the old primary wrote beyond that point is lost.  The timeline
 * history file tells the switch points.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/timeline.h"
#include "access/xlog.h"

#include "core/errors.h"
#include "core/weaken.h"
#include "requirement/timeline.h"

static void error_no_history(Position position, TimeLineID current) pg_attribute_noreturn();

/*
 * timeline_judge
 *		Where does a position stand, seen from a server on timeline "current"?
 *
 * May raise the errors of reading a timeline history file.  PostgreSQL takes
 * the lack of one for a timeline without parents; here it would mean that
 * everything was lost, so that is an error.
 */
TimelineVerdict
timeline_judge(Position position, TimeLineID current)
{
	/* The last switch point looked up: histories don't change. */
	static TimeLineID cached_current = 0;
	static TimeLineID cached_old = 0;
	static XLogRecPtr cached_end = InvalidXLogRecPtr;

	if (position.tli == current || weakened(MECHANISM_TIMELINE))
		return TIMELINE_SAME;
	if (position.tli > current)
		return TIMELINE_AHEAD;

	if (cached_current != current || cached_old != position.tli)
	{
		List	   *history = readTimeLineHistory(current);
		XLogRecPtr	end = InvalidXLogRecPtr;
		ListCell   *cell;

		/* A timeline that isn't in the history lost all that it had. */
		foreach(cell, history)
		{
			TimeLineHistoryEntry *entry = lfirst(cell);

			if (entry->tli == position.tli)
				end = entry->end;
		}
		list_free_deep(history);
		if (end == InvalidXLogRecPtr && !existsTimeLineHistory(current))
			error_no_history(position, current);
		cached_current = current;
		cached_old = position.tli;
		cached_end = end;
	}

	return position.lsn <= cached_end ? TIMELINE_PAST : TIMELINE_LOST;
}

/* Nobody can tell whether the position was lost. */
static void
error_no_history(Position position, TimeLineID current)
{
	char		buf[POSITION_TEXT_SIZE];

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FILE),
			 errmsg("cannot tell whether position %s was lost in a failover",
					position_text(position, buf)),
			 errdetail("This server has no history file of its timeline %u.", current),
			 errhint("Copy %08X.history to this server's directory pg_wal from another server or the archive.",
					 current)));
}

/* The error for TIMELINE_LOST. */
void
timeline_error_lost(Position position, TimeLineID current)
{
	char		buf[POSITION_TEXT_SIZE];

	ereport(ERROR,
			(errcode(ERRCODE_POSITION_LOST),
			 errmsg("position %s was lost in a failover", position_text(position, buf)),
			 errdetail("This server is on timeline %u, which left timeline %u before that position.",
					   current, position.tli),
			 errhint("What the session wrote or saw there no longer exists. Go on without it with RESET consistency.token.")));
}

/* The error for TIMELINE_AHEAD on a primary, which will never follow. */
void
timeline_error_ahead(Position position, TimeLineID current)
{
	char		buf[POSITION_TEXT_SIZE];

	ereport(ERROR,
			(errcode(ERRCODE_POSITION_LOST),
			 errmsg("position %s is of a newer timeline than this primary's",
					position_text(position, buf)),
			 errdetail("This server is on timeline %u; another one was promoted since.", current),
			 errhint("Connect to the current primary.")));
}
