/*-------------------------------------------------------------------------
 *
 * ticket.c
 *	  What the outcome of a transaction can be asked for by.
 *
 * A client that loses its connection during a commit doesn't know what became of
 * its transaction.  pg_xact_status() can tell by the transaction's id, but the same
 * id may be another transaction's by then: a server that loses the end of its log
 * hands out again the ids that stood there and nowhere else.  So a ticket is the
 * id, a position from which on the transaction's commit must lie, and how much of
 * the log up to there wasn't flushed then.
 *
 * Two things lose the end of a log.  A failover: what is beyond the point where the
 * timelines part.  And a crash of the primary: what wasn't flushed.  When it has
 * recovered, it goes on where its log ends with a checkpoint record of the kind
 * that a shutdown makes.  If one of these lies in what wasn't flushed, all behind
 * it is other than it was, and the transaction was not committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "catalog/pg_control.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/xid8.h"

#include "requirement/timeline.h"
#include "session/token.h"

/* between the parts of a ticket */
#define SEPARATOR_UNFLUSHED '+'
#define SEPARATOR_POSITION '@'

typedef struct Ticket
{
	FullTransactionId id;
	uint64		unflushed;		/* bytes of the log ahead of "position" */
	Position	position;		/* the commit is no earlier */
} Ticket;

/* Does the log still hold what was there when a ticket was given? */
typedef enum LogVerdict
{
	LOG_SAME,
	LOG_LOST,
	LOG_UNKNOWN					/* that part was removed */
} LogVerdict;

static Datum status_of(FullTransactionId id, bool *isnull);
static LogVerdict judge_log(const Ticket *ticket);
static LogVerdict search_log(XLogReaderState *reader, XLogRecPtr from, XLogRecPtr to);
static bool ends_recovery(XLogReaderState *reader);
static uint64 parse_number(const char **text, char end, const char *ticket);
static Ticket parse_ticket(const char *text);
static void error_malformed(const char *ticket) pg_attribute_noreturn();

PG_FUNCTION_INFO_V1(consistency_transaction_ticket);
PG_FUNCTION_INFO_V1(consistency_transaction_status);

/*
 * consistency.transaction_ticket() returns text
 *		By what the outcome of the current transaction can be asked for; NULL if
 *		it has none, since it has written nothing.
 */
Datum
consistency_transaction_ticket(PG_FUNCTION_ARGS)
{
	FullTransactionId id = GetTopFullTransactionIdIfAny();
	Token		token = {POSITION_NONE, POSITION_NONE};
	Position   *position = &token.newest;
	XLogRecPtr	flushed;
	char text[	TOKEN_TEXT_SIZE];

	/* An id that stands nowhere in the log may be handed out again. */
	if (!FullTransactionIdIsValid(id) || XactLastRecEnd == InvalidXLogRecPtr)
		PG_RETURN_NULL();
	position->tli = GetWALInsertionTimeLine();
	position->lsn = GetXLogInsertRecPtr();
	flushed = Min(GetFlushRecPtr(NULL), position->lsn);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT "%c" UINT64_FORMAT "%c%s",
											  U64FromFullTransactionId(id),
											  SEPARATOR_UNFLUSHED, position->lsn - flushed,
											  SEPARATOR_POSITION,
											  token_format(token, GetSystemIdentifier(), text))));
}

/*
 * consistency.transaction_status(ticket text) returns text
 *		What pg_xact_status() says of the transaction; "lost" if a failover has
 *		left out all that it can have committed; NULL if that is too long ago.
 */
Datum
consistency_transaction_status(PG_FUNCTION_ARGS)
{
	Ticket		ticket = parse_ticket(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	TimeLineID	tli;
	bool		isnull = false;
	Datum		status = (Datum) 0;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("only a primary knows what became of a transaction"),
				 errhint("Ask at the current primary.")));
	tli = GetWALInsertionTimeLine();
	switch (timeline_judge(ticket.position, tli))
	{
		case TIMELINE_LOST:
			PG_RETURN_TEXT_P(cstring_to_text("lost"));
		case TIMELINE_AHEAD:
			timeline_error_ahead(ticket.position, tli);
		case TIMELINE_SAME:
		case TIMELINE_PAST:
			break;
	}

	switch (judge_log(&ticket))
	{
		case LOG_SAME:
			status = status_of(ticket.id, &isnull);
			break;
		case LOG_LOST:
			PG_RETURN_TEXT_P(cstring_to_text("aborted"));
		case LOG_UNKNOWN:
			isnull = true;
			break;
	}
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(status);
}

/* What pg_xact_status() says. */
static Datum
status_of(FullTransactionId id, bool *isnull)
{
	LOCAL_FCINFO(status, 1);
	FmgrInfo	function;
	Datum		result;

	fmgr_info(F_PG_XACT_STATUS, &function);
	InitFunctionCallInfoData(*status, &function, 1, InvalidOid, NULL, NULL);
	status->args[0].value = FullTransactionIdGetDatum(id);
	status->args[0].isnull = false;
	result = FunctionCallInvoke(status);
	*isnull = status->isnull;
	return result;
}

/* Is the log ahead of the ticket's position the one that was there then? */
static LogVerdict
judge_log(const Ticket *ticket)
{
	XLogRecPtr	to = ticket->position.lsn;
	XLogRecPtr	from = to - Min(ticket->unflushed, to);
	ReadLocalXLogPageNoWaitPrivate private = {0};
	XLogReaderState *volatile reader;
	volatile LogVerdict verdict = LOG_UNKNOWN;
	MemoryContext context = CurrentMemoryContext;

	if (from == to)
		return LOG_SAME;
	if (to > GetXLogInsertRecPtr())
		return LOG_LOST;
	XLogFlush(to);				/* only then can it be read */

	reader = XLogReaderAllocate(wal_segment_size, NULL,
								XL_ROUTINE(.page_read = read_local_xlog_page_no_wait,
										   .segment_open = wal_segment_open,
										   .segment_close = wal_segment_close),
								&private);
	if (reader == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		verdict = search_log(reader, from, to);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		XLogReaderFree(reader);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNDEFINED_FILE)
			PG_RE_THROW();
		FlushErrorState();
		reader = NULL;
	}
	PG_END_TRY();
	if (reader)
		XLogReaderFree(reader);
	return verdict;
}

/* Look for the end of a recovery between two places of the log. */
static LogVerdict
search_log(XLogReaderState *reader, XLogRecPtr from, XLogRecPtr to)
{
	XLogRecPtr	first = XLogFindNextRecord(reader, from);
	char	   *message;

	/* Nothing begins there but, perhaps, what was flushed since. */
	if (first == InvalidXLogRecPtr || first >= to)
		return LOG_SAME;
	XLogBeginRead(reader, first);
	while (XLogReadRecord(reader, &message) != NULL && reader->ReadRecPtr < to)
	{
		if (ends_recovery(reader))
			return LOG_LOST;
	}
	return LOG_SAME;
}

static bool
ends_recovery(XLogReaderState *reader)
{
	return XLogRecGetRmid(reader) == RM_XLOG_ID &&
		(XLogRecGetInfo(reader) & ~XLR_INFO_MASK) == XLOG_CHECKPOINT_SHUTDOWN;
}

static Ticket
parse_ticket(const char *text)
{
	const char *rest = text;
	Ticket		ticket;
	Token		token;

	ticket.id = FullTransactionIdFromU64(parse_number(&rest, SEPARATOR_UNFLUSHED, text));
	ticket.unflushed = parse_number(&rest, SEPARATOR_POSITION, text);
	token = token_parse_or_error(rest);
	if (!position_is_set(token.newest) || position_is_set(token.older))
		error_malformed(text);
	ticket.position = token.newest;
	return ticket;
}

/* Read a number that is followed by "end", and move *text behind that. */
static uint64
parse_number(const char **text, char end, const char *ticket)
{
	char	   *behind;
	uint64		number;

	errno = 0;
	number = strtou64(*text, &behind, 10);
	if (errno != 0 || !isdigit((unsigned char) **text) || *behind != end)
		error_malformed(ticket);
	*text = behind + 1;
	return number;
}

static void
error_malformed(const char *ticket)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid transaction ticket: \"%s\"", ticket),
			 errhint("A ticket is what consistency.transaction_ticket() returns, or the hint of an error with SQLSTATE 08007.")));
}
