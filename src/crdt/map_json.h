/*-------------------------------------------------------------------------
 *
 * map_json.h
 *	  Maps as JSON: their state, and their value.
 *
 * The functions are those of a CrdtRoutine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_MAP_JSON_H
#define CONSISTENCY_CRDT_MAP_JSON_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/wire.h"

extern void map_format(StringInfo out, CrdtReader body, int depth);
extern void map_parse(CrdtBuffer *out, JsonbValue *json, int depth);
extern void map_format_value(StringInfo out, CrdtReader body, int depth);

#endif							/* CONSISTENCY_CRDT_MAP_JSON_H */
