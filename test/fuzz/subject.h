/*-------------------------------------------------------------------------
 *
 * subject.h
 *	  A CRDT type that is tried: what all of them have, as SQL has it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_SUBJECT_H
#define FUZZ_SUBJECT_H

#include "call.h"

typedef struct Subject
{
	const char *name;
	Oid			type;
	Call	   *in;
	Call	   *out;
	Call	   *recv;
	Call	   *send;
	Call	   *merge;			/* || */
	Call	   *contained;		/* <@ */
	Call	   *contains;		/* @> */
	Call	   *eq;
	Call	   *ne;
	Call	   *hash;
	Call	   *hash_extended;
	Call	   *value;			/* jsonb(state) */
	/* the aggregate merge() */
	Call	   *accum;
	Call	   *combine;
	Call	   *serialize;
	Call	   *deserialize;
	Call	   *final;
} Subject;

extern Subject *subject_open(const char *name);
extern Datum subject_parse(Subject *subject, const char *text);
extern char *subject_text(Subject *subject, Datum state);
extern char *subject_value(Subject *subject, Datum state);
extern Datum subject_receive(Subject *subject, const char *bytes, int size);
extern Datum subject_aggregate(Subject *subject, const Datum *states, int n, int split);
extern fmNodePtr subject_aggregate_context(void);
extern Datum json_parse(const char *text);
extern char *json_text(Datum jsonb);
extern bool same_bytes(Datum a, Datum b);

#endif							/* FUZZ_SUBJECT_H */
