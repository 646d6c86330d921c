/*-------------------------------------------------------------------------
 *
 * ticket.c
 *	  What the outcome of a transaction can be asked for by.
 *
 * A client that loses its connection during a commit doesn't know what became of
 * its transaction.  pg_xact_status() can tell by the transaction's id, but at
 * another primary only if that has all up to where the id was in use: otherwise
 * the same id may be another transaction's there.  So a ticket is both: the id,
 * and a position from which on the transaction's commit must lie.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/xid8.h"

#include "requirement/timeline.h"
#include "session/token.h"

/* between the parts of a ticket */
#define SEPARATOR '@'

static FullTransactionId parse_ticket(const char *ticket, Position *position);
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
	Position	position;
	char		token[TOKEN_TEXT_SIZE];

	if (!FullTransactionIdIsValid(id))
		PG_RETURN_NULL();
	position.tli = GetWALInsertionTimeLine();
	position.lsn = GetXLogInsertRecPtr();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT "%c%s", U64FromFullTransactionId(id),
											  SEPARATOR,
											  token_format(position, GetSystemIdentifier(), token))));
}

/*
 * consistency.transaction_status(ticket text) returns text
 *		What pg_xact_status() says of the transaction; "lost" if a failover has
 *		left out all that it can have committed; NULL if that is too long ago.
 */
Datum
consistency_transaction_status(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(status, 1);
	Position	position;
	FullTransactionId id = parse_ticket(text_to_cstring(PG_GETARG_TEXT_PP(0)), &position);
	FmgrInfo	function;
	TimeLineID	tli;
	Datum		result;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("only a primary knows what became of a transaction"),
				 errhint("Ask at the current primary.")));
	tli = GetWALInsertionTimeLine();
	switch (timeline_judge(position, tli))
	{
		case TIMELINE_LOST:
			PG_RETURN_TEXT_P(cstring_to_text("lost"));
		case TIMELINE_AHEAD:
			timeline_error_ahead(position, tli);
		case TIMELINE_SAME:
		case TIMELINE_PAST:
			break;
	}

	fmgr_info(F_PG_XACT_STATUS, &function);
	InitFunctionCallInfoData(*status, &function, 1, InvalidOid, NULL, NULL);
	status->args[0].value = FullTransactionIdGetDatum(id);
	status->args[0].isnull = false;
	result = FunctionCallInvoke(status);
	if (status->isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

static FullTransactionId
parse_ticket(const char *ticket, Position *position)
{
	char	   *end;
	uint64		id;

	errno = 0;
	id = strtou64(ticket, &end, 10);
	if (errno != 0 || end == ticket || *end != SEPARATOR)
		error_malformed(ticket);
	*position = token_parse_or_error(end + 1);
	if (!position_is_set(*position))
		error_malformed(ticket);
	return FullTransactionIdFromU64(id);
}

static void
error_malformed(const char *ticket)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid transaction ticket: \"%s\"", ticket),
			 errhint("A ticket is what consistency.transaction_ticket() returns, or the hint of an error with SQLSTATE 08007.")));
}
