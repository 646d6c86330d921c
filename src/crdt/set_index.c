/*-------------------------------------------------------------------------
 *
 * set_index.c
 *	  GIN index of the members of sets.
 *
 * A key is a 64-bit hash of an element's canonical text, so that long elements
 * take no more room than short ones.  What is found is always looked at again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/stratnum.h"
#include "common/hashfn.h"

#include "crdt/json.h"
#include "crdt/set.h"

/* operators of the class */
#define IS_MEMBER_STRATEGY 1
#define HAS_ANY_STRATEGY 2
#define HAS_ALL_STRATEGY 3

static Datum key_of(const CrdtReader *payload);
static GinTernaryValue match(StrategyNumber strategy, const GinTernaryValue *found, int n);

PG_FUNCTION_INFO_V1(set_gin_extract_value);
PG_FUNCTION_INFO_V1(set_gin_extract_query);
PG_FUNCTION_INFO_V1(set_gin_consistent);
PG_FUNCTION_INFO_V1(set_gin_triconsistent);

static Datum
key_of(const CrdtReader *payload)
{
	return hash_any_extended(payload->at, crdt_left(payload), 0);
}

/* The keys of all members of a set. */
Datum
set_gin_extract_value(PG_FUNCTION_ARGS)
{
	CrdtState	set = set_state(PG_GETARG_VARLENA_PP(0), CRDT_ANY);
	int32	   *n = (int32 *) PG_GETARG_POINTER(1);
	SetCursor	cursor = set_open(&set);
	Datum	   *keys = palloc_extended((cursor.left + 1) * sizeof(Datum), MCXT_ALLOC_HUGE);

	*n = 0;
	while (set_next(&cursor))
	{
		if (set_is_live(&cursor.element, set.type))
			keys[(*n)++] = key_of(&cursor.element.payload);
	}
	PG_RETURN_POINTER(keys);
}

/* The keys of the elements that are looked for. */
Datum
set_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32	   *n = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	int32	   *search_mode = (int32 *) PG_GETARG_POINTER(6);
	Datum	   *keys;
	SetList		list;

	if (strategy == IS_MEMBER_STRATEGY)
	{
		CrdtReader	payload = crdt_element_from_jsonb(PG_GETARG_JSONB_P(0));

		*n = 1;
		keys = palloc(sizeof(Datum));
		keys[0] = key_of(&payload);
		PG_RETURN_POINTER(keys);
	}
	set_list_init(&list);
	set_list_add_array(&list, PG_GETARG_ARRAYTYPE_P(0));
	set_list_sort(&list);
	*n = list.n;
	keys = palloc((list.n + 1) * sizeof(Datum));
	for (int i = 0; i < list.n; i++)
		keys[i] = key_of(&list.items[i].payload);
	/* every set has all elements of nothing */
	if (strategy == HAS_ALL_STRATEGY && list.n == 0)
		*search_mode = GIN_SEARCH_MODE_ALL;
	PG_RETURN_POINTER(keys);
}

/* May a set be wanted that has some of the keys?  Never certain, keys are hashes. */
static GinTernaryValue
match(StrategyNumber strategy, const GinTernaryValue *found, int n)
{
	int			n_found = 0;

	for (int i = 0; i < n; i++)
		n_found += (found[i] != GIN_FALSE);
	switch (strategy)
	{
		case IS_MEMBER_STRATEGY:
		case HAS_ANY_STRATEGY:
			return n_found > 0 ? GIN_MAYBE : GIN_FALSE;
		case HAS_ALL_STRATEGY:
			return n_found == n ? GIN_MAYBE : GIN_FALSE;
		default:
			elog(ERROR, "unknown strategy number: %d", (int) strategy);
	}
}

/* With GIN_TRUE and GIN_FALSE being true and false, the arguments are alike. */
Datum
set_gin_consistent(PG_FUNCTION_ARGS)
{
	const GinTernaryValue *found = (GinTernaryValue *) PG_GETARG_POINTER(0);
	bool	   *recheck = (bool *) PG_GETARG_POINTER(5);

	*recheck = true;
	PG_RETURN_BOOL(match(PG_GETARG_UINT16(1), found, PG_GETARG_INT32(3)) != GIN_FALSE);
}

Datum
set_gin_triconsistent(PG_FUNCTION_ARGS)
{
	const GinTernaryValue *found = (GinTernaryValue *) PG_GETARG_POINTER(0);

	PG_RETURN_GIN_TERNARY_VALUE(match(PG_GETARG_UINT16(1), found, PG_GETARG_INT32(3)));
}
