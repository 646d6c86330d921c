/*-------------------------------------------------------------------------
 *
 * prepared.c
 *	  The transaction id of a prepared transaction.
 *
 * PostgreSQL tells it by the view pg_prepared_xacts only, so we call the
 * function below that view, as a scan would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "session/prepared.h"
#include "session/commits.h"

/* columns of the function's result */
#define PREPARED_XID 1
#define PREPARED_GID 2

/*
 * prepared_xid
 *		The id of the transaction that was prepared under this name, or
 *		COMMITS_UNKNOWN_XID.
 */
TransactionId
prepared_xid(const char *gid)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	function;
	ReturnSetInfo result = {.type = T_ReturnSetInfo,.allowedModes = SFRM_ValuePerCall};
	TransactionId xid = COMMITS_UNKNOWN_XID;

	result.econtext = CreateStandaloneExprContext();
	fmgr_info(F_PG_PREPARED_XACT, &function);
	while (xid == COMMITS_UNKNOWN_XID)
	{
		HeapTupleHeader row;
		bool		isnull;
		Datum		value;

		InitFunctionCallInfoData(*fcinfo, &function, 0, InvalidOid, NULL, (Node *) &result);
		result.isDone = ExprSingleResult;
		value = FunctionCallInvoke(fcinfo);
		if (result.isDone == ExprEndResult)
			break;
		row = DatumGetHeapTupleHeader(value);
		if (strcmp(TextDatumGetCString(GetAttributeByNum(row, PREPARED_GID, &isnull)), gid) == 0)
			xid = DatumGetTransactionId(GetAttributeByNum(row, PREPARED_XID, &isnull));
	}
	FreeExprContext(result.econtext, true);
	return xid;
}
