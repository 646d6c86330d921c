/*-------------------------------------------------------------------------
 *
 * set_functions.c
 *	  What users ask of a set, whichever type it is of: membership, elements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/array.h"

#include "crdt/json.h"
#include "crdt/set.h"
#include "crdt/set_expanded.h"

static SetList sorted_list(ArrayType *array);

PG_FUNCTION_INFO_V1(set_is_member);
PG_FUNCTION_INFO_V1(set_has_any);
PG_FUNCTION_INFO_V1(set_has_all);
PG_FUNCTION_INFO_V1(set_cardinality);
PG_FUNCTION_INFO_V1(set_elements);

static SetList
sorted_list(ArrayType *array)
{
	SetList		list;

	set_list_init(&list);
	set_list_add_array(&list, array);
	set_list_sort(&list);
	return list;
}

/* is_member(s, jsonb), s ? jsonb */
Datum
set_is_member(PG_FUNCTION_ARGS)
{
	CrdtReader	payload = crdt_element_from_jsonb(PG_GETARG_JSONB_P(1));
	CrdtState	set;
	SetElement	found;
	bool		is_member;

	if (set_expanded_is_member(PG_GETARG_DATUM(0), payload, &is_member))
		PG_RETURN_BOOL(is_member);
	set = set_state(PG_GETARG_VARLENA_PP(0), CRDT_ANY);
	PG_RETURN_BOOL(set_find(set_open(&set), &payload, &found) && set_is_live(&found, set.type));
}

/* has_any(s, jsonb[]), s ?| jsonb[] */
Datum
set_has_any(PG_FUNCTION_ARGS)
{
	CrdtState	set = set_state(PG_GETARG_VARLENA_PP(0), CRDT_ANY);
	SetList		list = sorted_list(PG_GETARG_ARRAYTYPE_P(1));

	PG_RETURN_BOOL(set_list_count(&list, set_open(&set), 1) > 0);
}

/* has_all(s, jsonb[]), s ?& jsonb[] */
Datum
set_has_all(PG_FUNCTION_ARGS)
{
	CrdtState	set = set_state(PG_GETARG_VARLENA_PP(0), CRDT_ANY);
	SetList		list = sorted_list(PG_GETARG_ARRAYTYPE_P(1));

	PG_RETURN_BOOL(set_list_count(&list, set_open(&set), list.n) == list.n);
}

/* cardinality(s) */
Datum
set_cardinality(PG_FUNCTION_ARGS)
{
	CrdtState	set = set_state(PG_GETARG_VARLENA_PP(0), CRDT_ANY);
	SetCursor	cursor = set_open(&set);
	int64		n = 0;

	if (set.type != CRDT_TWOPSET)
		PG_RETURN_INT64((int64) cursor.left);
	while (set_next(&cursor))
		n += set_is_live(&cursor.element, set.type);
	PG_RETURN_INT64(n);
}

/* elements(s): a row for each */
Datum
set_elements(PG_FUNCTION_ARGS)
{
	FuncCallContext *calls;
	SetCursor  *cursor;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		CrdtState	set;

		calls = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(calls->multi_call_memory_ctx);
		/* the argument needn't last until the next call, a copy does */
		set = set_state(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)), CRDT_ANY);
		cursor = palloc(sizeof(SetCursor));
		*cursor = set_open(&set);
		calls->user_fctx = cursor;
		MemoryContextSwitchTo(old);
	}
	calls = SRF_PERCALL_SETUP();
	cursor = calls->user_fctx;
	while (set_next(cursor))
	{
		if (set_is_live(&cursor->element, cursor->type))
			SRF_RETURN_NEXT(calls, JsonbPGetDatum(crdt_element_to_jsonb(&cursor->element.payload)));
	}
	SRF_RETURN_DONE(calls);
}
