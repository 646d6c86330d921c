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
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "remote/remote_record.h"
#include "remote/remote_row.h"

/* How a column's binary form becomes a Datum: the most common types by hand */
typedef enum ColumnReader
{
	READ_BY_FUNCTION,
	READ_BOOL,
	READ_INT2,
	READ_INT4,
	READ_INT8,
	READ_FLOAT8,
	READ_TEXT,					/* text-like, in the database's encoding */
	READ_RECORD					/* see remote_record.c */
} ColumnReader;

struct RemoteRowReader
{
	TupleDesc	tupdesc;
	bool		binary;			/* all columns have a binary form */
	bool		text_is_exact;	/* all columns' text form is as good */
	bool		functions_binary;	/* which form the functions are for */
	FmgrInfo   *functions;		/* receive or input function of each column;
								 * NULL: not looked up yet */
	Oid		   *ioparams;		/* and the type argument it wants */
	ColumnReader *readers;		/* for binary form */
	MemoryContext context;		/* where these are */
};

static bool text_form_is_exact(Oid type);
static bool has_binary_form(Oid type, bool receive);
static bool columns_have_binary_form(Oid type, bool receive);
static void look_up_functions(RemoteRowReader *reader, bool binary);
static void read_result(RemoteRowReader *reader, const PGresult *result, TupleTableSlot *slot);
static void read_copy(RemoteRowReader *reader, char *data, int length, TupleTableSlot *slot);
static ColumnReader choose_reader(Oid type, Oid receive_function);
static Datum read_binary(RemoteRowReader *reader, int column, char *data, int length);

/* A reader of rows of this shape, in the current memory context. */
RemoteRowReader *
remote_row_reader(TupleDesc tupdesc)
{
	RemoteRowReader *reader = palloc0(sizeof(RemoteRowReader));

	reader->tupdesc = tupdesc;
	reader->context = CurrentMemoryContext;
	reader->binary = true;
	reader->text_is_exact = (pg_get_client_encoding() == GetDatabaseEncoding());
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Oid			type = TupleDescAttr(tupdesc, i)->atttypid;

		reader->text_is_exact = reader->text_is_exact && text_form_is_exact(type);
		reader->binary = reader->binary && has_binary_form(type, true);
	}
	return reader;
}

/* Say in *text which form the reader wants its rows in. */
void
remote_row_format(const RemoteRowReader *reader, RemoteQueryText *text)
{
	text	  ->result_format = reader->binary ? 1 : 0;
	text	  ->text_is_exact = reader->text_is_exact;
}

/*
 * Does the result have our columns?  The other node may have older or newer
 * definitions.
 */
bool
remote_row_fits(const RemoteRowReader *reader, const PGresult *shape)
{
	if (PQnfields(shape) != reader->tupdesc->natts)
		return false;
	for (int i = 0; i < reader->tupdesc->natts; i++)
	{
		/* Row descriptions give the base type of a domain. */
		if (PQftype(shape, i) != getBaseType(TupleDescAttr(reader->tupdesc, i)->atttypid))
			return false;
	}
	return true;
}

/*
 * remote_row_read
 *		Store a row in a virtual slot.
 *
 * Values live in the current memory context, not in the row.
 */
void
remote_row_read(RemoteRowReader *reader, const RemoteRow *row, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	if (row->result)
		read_result(reader, row->result, slot);
	else
		read_copy(reader, row->copy_row, row->copy_length, slot);
	ExecStoreVirtualTuple(slot);
}

static void
read_result(RemoteRowReader *reader, const PGresult *result, TupleTableSlot *slot)
{
	bool		binary = PQnfields(result) > 0 && PQfformat(result, 0) == 1;

	if (reader->functions == NULL || reader->functions_binary != binary)
		look_up_functions(reader, binary);

	for (int i = 0; i < reader->tupdesc->natts; i++)
	{
		slot->tts_isnull[i] = PQgetisnull(result, 0, i);
		if (slot->tts_isnull[i])
			slot->tts_values[i] = (Datum) 0;
		else if (binary)
			slot->tts_values[i] = read_binary(reader, i, PQgetvalue(result, 0, i),
											  PQgetlength(result, 0, i));
		else
			slot->tts_values[i] =
				InputFunctionCall(&reader->functions[i],
								  pg_client_to_server(PQgetvalue(result, 0, i),
													  PQgetlength(result, 0, i)),
								  reader->ioparams[i],
								  TupleDescAttr(reader->tupdesc, i)->atttypmod);
	}
}

/* A row of COPY BINARY: the number of columns; length (-1: NULL) and bytes of each. */
static void
read_copy(RemoteRowReader *reader, char *data, int length, TupleTableSlot *slot)
{
	char	   *end = data + length;
	uint16		natts;
	int			i;

	if (reader->functions == NULL || !reader->functions_binary)
		look_up_functions(reader, true);

	memcpy(&natts, data, sizeof(natts));
	data += sizeof(natts);
	if (pg_ntoh16(natts) != reader->tupdesc->natts)
		elog(ERROR, "row has %d columns instead of %d", pg_ntoh16(natts),
			 reader->tupdesc->natts);

	for (i = 0; i < reader->tupdesc->natts && end - data >= (int) sizeof(uint32); i++)
	{
		uint32		size;

		memcpy(&size, data, sizeof(size));
		size = pg_ntoh32(size);
		data += sizeof(size);
		slot->tts_isnull[i] = (size == PG_UINT32_MAX);
		slot->tts_values[i] = (Datum) 0;
		if (slot->tts_isnull[i])
			continue;
		if (size > (uint32) (end - data))
			break;
		slot->tts_values[i] = read_binary(reader, i, data, size);
		data += size;
	}
	if (i < reader->tupdesc->natts)
		elog(ERROR, "row is too short");
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

	for (int i = 0; i < nparams; i++)
	{
		Oid			function;
		bool		varlena;

		types[i] = params[i].ptype;
		if (params[i].isnull || !OidIsValid(params[i].ptype))
			continue;
		if (has_binary_form(params[i].ptype, false))
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
			char	   *value;

			getTypeOutputInfo(params[i].ptype, &function, &varlena);
			value = OidOutputFunctionCall(function, params[i].value);
			values[i] = pg_server_to_client(value, strlen(value));
		}
	}

	text	  ->nparams = nparams;
	text	  ->param_types = types;
	text	  ->param_values = values;
	text	  ->param_lengths = lengths;
	text	  ->param_formats = formats;
}

/*
 * Is what the type's input function makes of its output always the same value?
 * Most dates, floats and the like depend on settings for that.
 */
static bool
text_form_is_exact(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case UUIDOID:
		case JSONOID:
		case JSONBOID:
			return true;
		default:
			return false;
	}
}

static void
look_up_functions(RemoteRowReader *reader, bool binary)
{
	int			natts = reader->tupdesc->natts;

	if (reader->functions == NULL)
	{
		reader->functions = MemoryContextAlloc(reader->context, sizeof(FmgrInfo) * natts);
		reader->ioparams = MemoryContextAlloc(reader->context, sizeof(Oid) * natts);
		reader->readers = MemoryContextAlloc(reader->context, sizeof(ColumnReader) * natts);
	}
	for (int i = 0; i < natts; i++)
	{
		Oid			type = TupleDescAttr(reader->tupdesc, i)->atttypid;
		Oid			function;

		if (binary)
			getTypeBinaryInputInfo(type, &function, &reader->ioparams[i]);
		else
		{
			getTypeInputInfo(type, &function, &reader->ioparams[i]);
			if (type == PG_NODE_TREEOID)
				function = F_TEXTIN;	/* as it is kept; its own refuses it */
		}
		fmgr_info_cxt(function, &reader->functions[i], reader->context);
		reader->readers[i] =
			binary ? choose_reader(type, function) : READ_BY_FUNCTION;
	}
	reader->functions_binary = binary;
}

/*
 * Does the type have a receive (or send) function that works?  Those of arrays
 * and the like need one of what is in them.
 */
static bool
has_binary_form(Oid type, bool receive)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	Oid			part = InvalidOid;
	bool		has;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	has = OidIsValid(receive ? form->typreceive : form->typsend);
	if (form->typtype == TYPTYPE_DOMAIN)
		part = form->typbasetype;
	else if (form->typtype == TYPTYPE_RANGE)
		part = get_range_subtype(type);
	else if (form->typtype == TYPTYPE_MULTIRANGE)
		part = get_multirange_range(type);
	else if (form->typtype == TYPTYPE_COMPOSITE)
		has = has && columns_have_binary_form(type, receive);
	else if (form->typtype == TYPTYPE_BASE && IsTrueArrayType(form))
		part = form->typelem;
	ReleaseSysCache(tuple);
	return has && (!OidIsValid(part) || has_binary_form(part, receive));
}

static bool
columns_have_binary_form(Oid type, bool receive)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(type, -1);
	bool		have = true;

	for (int i = 0; i < tupdesc->natts && have; i++)
	{
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			have = has_binary_form(TupleDescAttr(tupdesc, i)->atttypid, receive);
	}
	ReleaseTupleDesc(tupdesc);
	return have;
}

static ColumnReader
choose_reader(Oid type, Oid receive_function)
{
	if (remote_record_is(type))
		return READ_RECORD;
	switch (receive_function)
	{
		case F_BOOLRECV:
			return READ_BOOL;
		case F_INT2RECV:
			return READ_INT2;
		case F_INT4RECV:
			return READ_INT4;
		case F_INT8RECV:
			return READ_INT8;
		case F_FLOAT8RECV:
			return READ_FLOAT8;
		case F_TEXTRECV:
		case F_VARCHARRECV:
		case F_BPCHARRECV:

			/*
			 * The function would convert; and check a length that was
			 * checked.
			 */
			return pg_get_client_encoding() == GetDatabaseEncoding() ?
				READ_TEXT : READ_BY_FUNCTION;
		default:
			return READ_BY_FUNCTION;
	}
}

/* One column's value from its binary form. */
static Datum
read_binary(RemoteRowReader *reader, int column, char *data, int length)
{
	ColumnReader how = reader->readers[column];
	StringInfoData value;
	uint64		n64;
	uint32		n32;
	uint16		n16;
	char		after;
	Datum		datum;

	if (how == READ_TEXT)
		return PointerGetDatum(cstring_to_text_with_len(data, length));
	if (how == READ_BOOL && length == 1)
		return BoolGetDatum(data[0] != 0);
	if (how == READ_INT2 && length == sizeof(n16))
	{
		memcpy(&n16, data, sizeof(n16));
		return Int16GetDatum((int16) pg_ntoh16(n16));
	}
	if (how == READ_INT4 && length == sizeof(n32))
	{
		memcpy(&n32, data, sizeof(n32));
		return Int32GetDatum((int32) pg_ntoh32(n32));
	}
	if ((how == READ_INT8 || how == READ_FLOAT8) && length == sizeof(n64))
	{
		/* The bytes of a float are those of an integer of its size. */
		memcpy(&n64, data, sizeof(n64));
		n64 = pg_ntoh64(n64);
		if (how == READ_INT8)
			return Int64GetDatum((int64) n64);
		else
		{
			float8		number;

			memcpy(&number, &n64, sizeof(number));
			return Float8GetDatum(number);
		}
	}

	/* Some functions rely on a zero byte behind the value. */
	value.data = data;
	value.len = value.maxlen = length;
	value.cursor = 0;
	after = data[length];
	data[length] = '\0';
	if (how == READ_RECORD)
		datum = remote_record_read(TupleDescAttr(reader->tupdesc, column)->atttypid, &value);
	else
		datum = ReceiveFunctionCall(&reader->functions[column], &value, reader->ioparams[column],
									TupleDescAttr(reader->tupdesc, column)->atttypmod);
	data[length] = after;
	return datum;
}
