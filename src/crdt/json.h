/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Elements of CRDTs, which are JSON values, and states written as JSON.
 *
 * Inside a state an element (of a set, the value of a register) is kept as
 * canonical JSON text in the database's encoding: what jsonb takes for equal has
 * the same text, and other texts don't occur.  Keys are in jsonb's order, each
 * once, numbers without trailing zeros behind the point, no spaces.  Elements
 * are ordered by their bytes, whatever the collation.
 *
 * Functions that read JSON raise ERRCODE_INVALID_TEXT_REPRESENTATION, those that
 * check elements ERRCODE_DATA_CORRUPTED.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_JSON_H
#define CONSISTENCY_CRDT_JSON_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/wire.h"

/* elements */
extern CrdtReader crdt_element(JsonbValue *value);
extern CrdtReader crdt_element_from_jsonb(Jsonb *jsonb);
extern Jsonb *crdt_element_to_jsonb(const CrdtReader *element);
extern void crdt_element_check(const CrdtReader *element);
extern void crdt_text_check(const CrdtReader *text);

/* writing */
extern void crdt_json_append_id(StringInfo out, uint64 id);
extern void crdt_json_append_string(StringInfo out, const CrdtReader *text);

/* reading: the members of an object or the elements of an array, one by one */
typedef struct CrdtJsonMembers
{
	JsonbIterator *iterator;	/* NULL: there are none */
	JsonbValue	key;			/* of objects: the member's name, a string */
	JsonbValue	value;
} CrdtJsonMembers;

extern void crdt_json_error(const char *detail,...) pg_attribute_printf(1, 2) pg_attribute_noreturn();
extern JsonbValue crdt_json_value(Jsonb *jsonb);
extern CrdtJsonMembers crdt_json_object(JsonbValue *json);
extern CrdtJsonMembers crdt_json_array(JsonbValue *json);
extern bool crdt_json_next(CrdtJsonMembers *members);
extern bool crdt_json_key_is(const CrdtJsonMembers *members, const char *name);
extern void crdt_json_unknown_key(const CrdtJsonMembers *members) pg_attribute_noreturn();
extern uint64 crdt_json_count(const JsonbValue *value, uint64 least);
extern int64 crdt_json_int64(const JsonbValue *value);
extern uint64 crdt_json_id(const JsonbValue *value);
extern bool crdt_try_parse_id(const char *text, int len, uint64 *id);
extern uint64 crdt_parse_id(const char *text, int len, const char *hint);

#endif							/* CONSISTENCY_CRDT_JSON_H */
