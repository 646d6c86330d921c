/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  All SQL functions that take a CRDT of some type, in its own schema: others act
 *	  on tables.
 *
 * Those that take something internal can't be called like that, but for one, which
 * extracts the keys of an index: its other arguments are pointers to results.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "apply.h"
#include "functions.h"

static void add_variants(Function *function, Oid subject, Oid oid, int arguments, Oid *types);

static const char *const query =
"SELECT p.oid, p.proname, p.prorettype, p.proargtypes "
"FROM pg_proc p "
"WHERE p.prokind = 'f' "
"AND p.pronamespace = (SELECT typnamespace FROM pg_type WHERE oid = $1) "
"AND (ARRAY[$1] <@ p.proargtypes::oid[] "
"AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype::oid, 'cstring'::regtype::oid] "
"AND NOT p.prorettype = 'internal'::regtype "
"OR p.proname = 'put' AND 'anyelement'::regtype = ANY (p.proargtypes::oid[]) "
"OR EXISTS (SELECT FROM pg_amproc s JOIN pg_opfamily f ON f.oid = s.amprocfamily "
"WHERE s.amproc = p.oid AND s.amproclefttype = $1 AND s.amprocnum = 2 AND f.opfmethod = "
"(SELECT oid FROM pg_am WHERE amname = 'gin'))) "
"ORDER BY p.proname, p.oid::regprocedure::text";

/* They last as long as the current memory context. */
Functions *
functions_of_type(Oid type)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	Functions  *functions = palloc0(sizeof(Functions));
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(type)};

	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "functions could not be looked up");
	old = MemoryContextSwitchTo(context);
	functions->functions = palloc0(SPI_processed * sizeof(Function));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Function   *function = &functions->functions[functions->n];
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;
		bool		is_null;
		oidvector  *arguments = (oidvector *) DatumGetPointer(SPI_getbinval(tuple, descriptor, 4, &is_null));

		function->name = SPI_getvalue(tuple, descriptor, 2);
		function->name = pstrdup(function->name);
		function->result = DatumGetObjectId(SPI_getbinval(tuple, descriptor, 3, &is_null));
		add_variants(function, type, DatumGetObjectId(SPI_getbinval(tuple, descriptor, 1, &is_null)),
					 arguments->dim1, arguments->values);
		functions->n += function->variants > 0;
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	return functions;
}

/*
 * A function that takes anyelement takes each type that maps can hold; if nothing
 * else makes it one of the subject's, it is that type.
 */
static void
add_variants(Function *function, Oid subject, Oid oid, int arguments, Oid *types)
{
	bool		is_polymorphic = false;
	bool		is_own = false;

	for (int i = 0; i < arguments; i++)
	{
		is_polymorphic = is_polymorphic || types[i] == ANYELEMENTOID;
		is_own = is_own || types[i] == subject;
	}
	for (int type = 0; type < MODEL_TYPES && function->variants < VARIANTS; type++)
	{
		Oid			any = call_type(model_type_names[type]);
		Oid			actual[CALL_ARGUMENTS];

		if (is_polymorphic && (!model_type_nests(type) || (!is_own && any != subject)))
			continue;
		for (int i = 0; i < Min(arguments, CALL_ARGUMENTS); i++)
			actual[i] = types[i] == ANYELEMENTOID ? any : types[i];
		function->calls[function->variants++] = call_prepare_oid(oid, arguments, actual);
		if (!is_polymorphic)
			break;
	}
}
