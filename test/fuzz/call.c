/*-------------------------------------------------------------------------
 *
 * call.c
 *	  Calls of SQL functions from C, by name, with their errors as results.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "call.h"

static ReturnSetInfo *begin_set(Oid result);

/* The type of that name, wherever the search path finds it. */
Oid
call_type(const char *name)
{
	return typenameTypeId(NULL, makeTypeName(pstrdup(name)));
}

/* A function by its name and the types of its arguments, the last of which may be polymorphic. */
Call *
call_prepare(const char *name, int arguments, const Oid *types)
{
	List	   *names = list_make1(makeString(pstrdup(name)));
	Oid			function = LookupFuncName(names, arguments, types, true);

	if (!OidIsValid(function) && arguments > 1)
	{
		Oid			declared[CALL_ARGUMENTS];

		memcpy(declared, types, arguments * sizeof(Oid));
		declared[arguments - 1] = ANYELEMENTOID;
		function = LookupFuncName(names, arguments, declared, true);
	}
	if (!OidIsValid(function))
		function = LookupFuncName(names, arguments, types, false);
	return call_prepare_oid(function, arguments, types);
}

/*
 * call_prepare_oid
 *		A function, ready to be called with arguments of certain types.
 *
 * It lives as long as the current memory context.  A polymorphic function asks
 * for the types, and is told by an expression.
 */
Call *
call_prepare_oid(Oid function, int arguments, const Oid *types)
{
	Call	   *call = palloc0(sizeof(Call));
	List	   *constants = NIL;

	if (arguments > CALL_ARGUMENTS)
		elog(ERROR, "function %u has too many arguments", function);
	fmgr_info_cxt(function, &call->function, CurrentMemoryContext);
	call->arguments = arguments;
	for (int i = 0; i < arguments; i++)
	{
		call->types[i] = types[i];
		constants = lappend(constants, makeNullConst(types[i], -1, InvalidOid));
	}
	fmgr_info_set_expr((Node *) makeFuncExpr(function, get_func_rettype(function), constants,
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &call->function);
	return call;
}

/* Call a function without nulls; its errors are errors. */
Datum
call_datum(Call *call, const Datum *values)
{
	LOCAL_FCINFO(fcinfo, CALL_ARGUMENTS);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, &call->function, call->arguments, InvalidOid, NULL, NULL);
	for (int i = 0; i < call->arguments; i++)
	{
		fcinfo->args[i].value = values[i];
		fcinfo->args[i].isnull = false;
	}
	result = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		elog(ERROR, "function %u returned null", call->function.fn_oid);
	return result;
}

/* The same, with nulls, as the node given (of an aggregate, or NULL).  Sets are Lists. */
Outcome
call_nullable(Call *call, const NullableDatum *values, fmNodePtr context)
{
	LOCAL_FCINFO(fcinfo, CALL_ARGUMENTS);
	Outcome		outcome = {0};

	InitFunctionCallInfoData(*fcinfo, &call->function, call->arguments, InvalidOid, context, NULL);
	for (int i = 0; i < call->arguments; i++)
	{
		fcinfo->args[i] = values[i];
		if (values[i].isnull && call->function.fn_strict)
		{
			outcome.is_null = true;
			return outcome;
		}
	}
	if (call->function.fn_retset)
	{
		outcome.value = PointerGetDatum(call_rows(call, values));
		return outcome;
	}
	outcome.value = FunctionCallInvoke(fcinfo);
	outcome.is_null = fcinfo->isnull;
	return outcome;
}

/* What a function that returns a set gives it back in. */
static ReturnSetInfo *
begin_set(Oid result)
{
	ReturnSetInfo *set = makeNode(ReturnSetInfo);

	set->econtext = CreateStandaloneExprContext();
	set->allowedModes = SFRM_ValuePerCall | SFRM_Materialize;
	set->expectedDesc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(set->expectedDesc, 1, "row", result, -1, 0);
	set->returnMode = SFRM_ValuePerCall;
	return set;
}

/*
 * The rows of a function that returns a set of scalars: Datums, without nulls.
 *
 * If it fails, what it has begun to return is forgotten with the current memory
 * context.
 */
List *
call_rows(Call *call, const NullableDatum *values)
{
	LOCAL_FCINFO(fcinfo, CALL_ARGUMENTS);
	FmgrInfo	function;
	ReturnSetInfo *set;
	List	   *rows = NIL;

	/* another one each time, as it keeps where it is */
	fmgr_info_copy(&function, &call->function, CurrentMemoryContext);
	function.fn_extra = NULL;
	set = begin_set(get_func_rettype(function.fn_oid));
	InitFunctionCallInfoData(*fcinfo, &function, call->arguments, InvalidOid, NULL, (fmNodePtr) set);
	memcpy(fcinfo->args, values, call->arguments * sizeof(NullableDatum));
	for (;;)
	{
		Datum		value;

		fcinfo->isnull = false;
		set->isDone = ExprSingleResult;
		value = FunctionCallInvoke(fcinfo);
		if (set->returnMode == SFRM_Materialize || set->isDone != ExprMultipleResult)
			break;
		rows = lappend(rows, DatumGetPointer(value));
	}
	if (set->returnMode == SFRM_Materialize && set->setResult != NULL)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(set->setDesc, &TTSOpsMinimalTuple);

		while (tuplestore_gettupleslot(set->setResult, true, true, slot))
		{
			slot_getallattrs(slot);
			rows = lappend(rows, DatumGetPointer(datumCopy(slot->tts_values[0], false, -1)));
		}
		ExecDropSingleTupleTableSlot(slot);
		tuplestore_end(set->setResult);
	}
	FreeExprContext(set->econtext, true);
	return rows;
}

/*
 * The same, and errors are results.  Without a subtransaction: to be used only
 * with functions that leave nothing behind but memory, which is what all of ours
 * should be.
 */
Outcome
call_try(Call *call, const NullableDatum *values, fmNodePtr context)
{
	MemoryContext old = CurrentMemoryContext;
	volatile Outcome outcome = {0};

	PG_TRY();
	{
		Outcome		result = call_nullable(call, values, context);

		outcome.value = result.value;
		outcome.is_null = result.is_null;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		FlushErrorState();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		outcome.error = error->sqlerrcode;
		outcome.message = error->message;
	}
	PG_END_TRY();
	return outcome;
}
