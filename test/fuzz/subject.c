/*-------------------------------------------------------------------------
 *
 * subject.c
 *	  A CRDT type that is tried: what all of them have, as SQL has it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "parser/parse_oper.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "subject.h"

static Call *own_function(Subject *subject, const char *format, int arguments, const Oid *types);
static Call *operator(Subject *subject, const char *name);

/* A function whose name has the type's in it. */
static Call *
own_function(Subject *subject, const char *format, int arguments, const Oid *types)
{
	return call_prepare(psprintf(format, subject->name), arguments, types);
}

/* An operator between two states. */
static Call *
operator(Subject *subject, const char *name)
{
	Oid			types[] = {subject->type, subject->type};
	Oid			found = LookupOperName(NULL, list_make1(makeString(pstrdup(name))),
									   types[0], types[1], false, -1);

	return call_prepare_oid(get_opcode(found), 2, types);
}

/* Look up all of a type, for as long as the current memory context lasts. */
Subject *
subject_open(const char *name)
{
	Subject    *subject = palloc0(sizeof(Subject));
	Oid			internal[] = {INTERNALOID, INTERNALOID};
	Oid			bytes[] = {BYTEAOID, INTERNALOID};
	Oid			cstring = CSTRINGOID;
	Oid			mixed[2],
				accum[2];

	subject->name = pstrdup(name);
	subject->type = call_type(name);
	mixed[0] = accum[1] = subject->type;
	mixed[1] = INT8OID;
	accum[0] = INTERNALOID;
	subject->in = own_function(subject, "%s_in", 1, &cstring);
	subject->out = own_function(subject, "%s_out", 1, mixed);
	subject->recv = own_function(subject, "%s_recv", 1, internal);
	subject->send = own_function(subject, "%s_send", 1, mixed);
	subject->merge = operator(subject, "||");
	subject->contained = operator(subject, "<@");
	subject->contains = operator(subject, "@>");
	subject->eq = operator(subject, "=");
	subject->ne = operator(subject, "<>");
	subject->hash = own_function(subject, "%s_hash", 1, mixed);
	subject->hash_extended = own_function(subject, "%s_hash_extended", 2, mixed);
	subject->value = call_prepare("jsonb", 1, mixed);
	subject->accum = own_function(subject, "%s_merge_accum", 2, accum);
	subject->final = own_function(subject, "%s_merge_final", 1, internal);
	subject->combine = call_prepare("crdt_merge_combine", 2, internal);
	subject->serialize = call_prepare("crdt_merge_serialize", 1, internal);
	subject->deserialize = call_prepare("crdt_merge_deserialize", 2, bytes);
	return subject;
}

Datum
subject_parse(Subject *subject, const char *text)
{
	return call_1(subject->in, CStringGetDatum(text));
}

char *
subject_text(Subject *subject, Datum state)
{
	return DatumGetCString(call_1(subject->out, state));
}

/* What jsonb(state) says, as text. */
char *
subject_value(Subject *subject, Datum state)
{
	return json_text(call_1(subject->value, state));
}

Datum
subject_receive(Subject *subject, const char *bytes, int size)
{
	StringInfoData message;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, bytes, size);
	return call_1(subject->recv, PointerGetDatum(&message));
}

/* What an aggregate's functions want to be called by; it lives in the current context. */
fmNodePtr
subject_aggregate_context(void)
{
	AggState   *aggregate = makeNode(AggState);

	aggregate->curaggcontext = makeNode(ExprContext);
	aggregate->curaggcontext->ecxt_per_tuple_memory = CurrentMemoryContext;
	return (fmNodePtr) aggregate;
}

/*
 * subject_aggregate
 *		What merge() makes of n > 0 states.
 *
 * Those from split on are another worker's share, unless split is n.
 */
Datum
subject_aggregate(Subject *subject, const Datum *states, int n, int split)
{
	fmNodePtr	context = subject_aggregate_context();
	NullableDatum parts[2] = {{0, true}, {0, true}};
	Outcome		outcome;

	for (int i = 0; i < n; i++)
	{
		NullableDatum *part = &parts[i < split ? 0 : 1];
		NullableDatum arguments[2] = {*part, {states[i], false}};

		outcome = call_nullable(subject->accum, arguments, context);
		part->value = outcome.value;
		part->isnull = outcome.is_null;
	}
	if (!parts[1].isnull)
	{
		NullableDatum sent[2] = {{0}, {0}};

		sent[0].value = call_nullable(subject->serialize, &parts[1], context).value;
		parts[1].value = call_nullable(subject->deserialize, sent, context).value;
		outcome = call_nullable(subject->combine, parts, context);
		parts[0].value = outcome.value;
		parts[0].isnull = outcome.is_null;
	}
	return call_nullable(subject->final, parts, context).value;
}

Datum
json_parse(const char *text)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

char *
json_text(Datum jsonb)
{
	return DatumGetCString(DirectFunctionCall1(jsonb_out, jsonb));
}

bool
same_bytes(Datum a, Datum b)
{
	struct varlena *x = PG_DETOAST_DATUM_PACKED(a);
	struct varlena *y = PG_DETOAST_DATUM_PACKED(b);

	return VARSIZE_ANY_EXHDR(x) == VARSIZE_ANY_EXHDR(y) &&
		memcmp(VARDATA_ANY(x), VARDATA_ANY(y), VARSIZE_ANY_EXHDR(x)) == 0;
}
