/*-------------------------------------------------------------------------
 *
 * remote_row.c
 *	  Rows and parameters between the wire and the executor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "remote/remote_row.h"

struct RemoteRowReader
{
	TupleDesc	tupdesc;
	bool		binary;			/* all columns come in binary form */
	FmgrInfo   *functions;		/* receive or input function of each column */
	Oid		   *ioparams;		/* and the type argument it wants */
};

static bool binary_is_safe(void);
static bool has_binary_form(Oid type, bool receive);

/* A reader of rows of this shape, in the current memory context. */
RemoteRowReader *
remote_row_reader(TupleDesc tupdesc)
{
	RemoteRowReader *reader = palloc(sizeof(RemoteRowReader));

	reader->tupdesc = tupdesc;
	reader->functions = palloc(sizeof(FmgrInfo) * tupdesc->natts);
	reader->ioparams = palloc(sizeof(Oid) * tupdesc->natts);

	reader->binary = binary_is_safe();
	for (int i = 0; i < tupdesc->natts; i++)
		reader->binary &= has_binary_form(TupleDescAttr(tupdesc, i)->atttypid, true);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Oid			type = TupleDescAttr(tupdesc, i)->atttypid;
		Oid			function;

		if (reader->binary)
			getTypeBinaryInputInfo(type, &function, &reader->ioparams[i]);
		else
			getTypeInputInfo(type, &function, &reader->ioparams[i]);
		fmgr_info(function, &reader->functions[i]);
	}
	return reader;
}

/* The form that the reader wants its rows in: 0 text, 1 binary. */
int
remote_row_format(const RemoteRowReader *reader)
{
	return reader->binary ? 1 : 0;
}

/*
 * Does the result have our columns?  The other node may have older or newer
 * definitions.
 */
bool
remote_row_fits(const RemoteRowReader *reader, const PGresult *result)
{
	if (PQnfields(result) != reader->tupdesc->natts)
		return false;
	for (int i = 0; i < reader->tupdesc->natts; i++)
	{
		if (PQftype(result, i) != TupleDescAttr(reader->tupdesc, i)->atttypid)
			return false;
	}
	return true;
}

/*
 * remote_row_read
 *		Store the first row of a result in a virtual slot.
 *
 * Values live in the current memory context, not in the result.
 */
void
remote_row_read(RemoteRowReader *reader, const PGresult *result, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	for (int i = 0; i < reader->tupdesc->natts; i++)
	{
		int32		typmod = TupleDescAttr(reader->tupdesc, i)->atttypmod;

		slot->tts_isnull[i] = PQgetisnull(result, 0, i);
		if (slot->tts_isnull[i])
			slot->tts_values[i] = (Datum) 0;
		else if (reader->binary)
		{
			StringInfoData value;

			value.data = PQgetvalue(result, 0, i);
			value.len = value.maxlen = PQgetlength(result, 0, i);
			value.cursor = 0;
			slot->tts_values[i] = ReceiveFunctionCall(&reader->functions[i], &value,
													  reader->ioparams[i], typmod);
		}
		else
			slot->tts_values[i] = InputFunctionCall(&reader->functions[i],
													PQgetvalue(result, 0, i),
													reader->ioparams[i], typmod);
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * remote_row_params
 *		Put parameter values into *text, in the current memory context.
 */
void
remote_row_params(const ParamExternData *params, int nparams, RemoteQueryText *text)
{
	Oid		   *types = palloc(sizeof(Oid) * nparams);
	const char **values = palloc0(sizeof(char *) * nparams);
	int		   *lengths = palloc0(sizeof(int) * nparams);
	int		   *formats = palloc0(sizeof(int) * nparams);
	bool		safe = binary_is_safe();

	for (int i = 0; i < nparams; i++)
	{
		Oid			function;
		bool		varlena;

		types[i] = params[i].ptype;
		if (params[i].isnull || !OidIsValid(params[i].ptype))
			continue;
		if (safe && has_binary_form(params[i].ptype, false))
		{
			bytea	   *value;

			getTypeBinaryOutputInfo(params[i].ptype, &function, &varlena);
			value = OidSendFunctionCall(function, params[i].value);
			values[i] = VARDATA(value);
			lengths[i] = VARSIZE(value) - VARHDRSZ;
			formats[i] = 1;
		}
		else
		{
			getTypeOutputInfo(params[i].ptype, &function, &varlena);
			values[i] = OidOutputFunctionCall(function, params[i].value);
		}
	}

	text->nparams = nparams;
	text->param_types = types;
	text->param_values = values;
	text->param_lengths = lengths;
	text->param_formats = formats;
}

static bool
binary_is_safe(void)
{
	return pg_get_client_encoding() == GetDatabaseEncoding();
}

/* Does the type have a receive (or send) function? */
static bool
has_binary_form(Oid type, bool receive)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		has;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	has = OidIsValid(receive ? form->typreceive : form->typsend);
	ReleaseSysCache(tuple);
	return has;
}
