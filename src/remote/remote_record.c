/*-------------------------------------------------------------------------
 *
 * remote_record.c
 *	  Values of types whose receive functions refuse them.
 *
 * A client may be given records of any shape, arrays of any type, and what
 * statistics and node trees are kept in, but mustn't make them.  Their binary
 * form says all that is needed to read them: we have them from a server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "remote/remote_record.h"

static Datum read_record(StringInfo buffer);
static Datum read_array(StringInfo buffer);
static Datum read_part(StringInfo buffer, Oid type, bool *isnull);
static Datum read_value(StringInfo buffer, Oid type);

/* Is it one of these types? */
bool
remote_record_is(Oid type)
{
	switch (type)
	{
		case RECORDOID:
		case RECORDARRAYOID:
		case ANYARRAYOID:
		case ANYCOMPATIBLEARRAYOID:
		case PG_NODE_TREEOID:
		case PG_NDISTINCTOID:
		case PG_DEPENDENCIESOID:
		case PG_MCV_LISTOID:
			return true;
		default:
			return false;
	}
}

/* Read a value of such a type from its binary form, in the current memory context. */
Datum
remote_record_read(Oid type, StringInfo buffer)
{
	check_stack_depth();
	switch (type)
	{
		case RECORDOID:
			return read_record(buffer);
		case RECORDARRAYOID:
		case ANYARRAYOID:
		case ANYCOMPATIBLEARRAYOID:
			return read_array(buffer);
		case PG_NODE_TREEOID:
			return OidReceiveFunctionCall(F_TEXTRECV, buffer, type, -1);
		default:
			return OidReceiveFunctionCall(F_BYTEARECV, buffer, type, -1);
	}
}

/* The number of columns; type, length (-1: NULL) and bytes of each. */
static Datum
read_record(StringInfo buffer)
{
	int			natts = pq_getmsgint(buffer, 4);
	TupleDesc	tupdesc = CreateTemplateTupleDesc(natts);
	Datum	   *values = palloc(sizeof(Datum) * (natts + 1));
	bool	   *isnull = palloc(sizeof(bool) * (natts + 1));

	for (int i = 0; i < natts; i++)
	{
		Oid			type = pq_getmsgint(buffer, sizeof(Oid));

		TupleDescInitEntry(tupdesc, i + 1, psprintf("f%d", i + 1), type, -1, 0);
		values[i] = read_part(buffer, type, &isnull[i]);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, isnull));
}

/*
 * The number of dimensions, a flag, the type of the elements; size and lower
 * bound of each dimension; length (-1: NULL) and bytes of each element.
 */
static Datum
read_array(StringInfo buffer)
{
	int			start = buffer->cursor;
	int			ndim = pq_getmsgint(buffer, 4);
	Oid			type;
	int			size[MAXDIM];
	int			bound[MAXDIM];
	int			nitems;
	Datum	   *values;
	bool	   *isnull;

	(void) pq_getmsgint(buffer, 4);
	type = pq_getmsgint(buffer, sizeof(Oid));
	if (type != RECORDOID)
	{
		buffer->cursor = start;
		return OidReceiveFunctionCall(F_ARRAY_RECV, buffer, type, -1);
	}
	if (ndim > MAXDIM)
		elog(ERROR, "array has %d dimensions", ndim);
	for (int i = 0; i < ndim; i++)
	{
		size[i] = pq_getmsgint(buffer, 4);
		bound[i] = pq_getmsgint(buffer, 4);
	}

	nitems = ArrayGetNItems(ndim, size);
	values = palloc(sizeof(Datum) * (nitems + 1));
	isnull = palloc(sizeof(bool) * (nitems + 1));
	for (int i = 0; i < nitems; i++)
		values[i] = read_part(buffer, type, &isnull[i]);
	return PointerGetDatum(construct_md_array(values, isnull, ndim, size, bound, type,
											  -1, false, TYPALIGN_DOUBLE));
}

/* A column or an element: its length, and the bytes. */
static Datum
read_part(StringInfo buffer, Oid type, bool *isnull)
{
	int			length = pq_getmsgint(buffer, 4);
	StringInfoData part;
	char		after;
	Datum		datum;

	*isnull = length == -1;
	if (*isnull)
		return (Datum) 0;

	/* Some functions rely on a zero byte behind the value. */
	part.data = unconstify(char *, pq_getmsgbytes(buffer, length));
	part.len = part.maxlen = length;
	part.cursor = 0;
	after = part.data[length];
	part.data[length] = '\0';
	datum = read_value(&part, type);
	part.data[length] = after;
	return datum;
}

static Datum
read_value(StringInfo buffer, Oid type)
{
	Oid			function;
	Oid			ioparam;

	if (remote_record_is(type))
		return remote_record_read(type, buffer);
	getTypeBinaryInputInfo(type, &function, &ioparam);
	return OidReceiveFunctionCall(function, buffer, ioparam, -1);
}
