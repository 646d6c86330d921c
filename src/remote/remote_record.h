/*-------------------------------------------------------------------------
 *
 * remote_record.h
 *	  Values of types whose receive functions refuse them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_RECORD_H
#define CONSISTENCY_REMOTE_RECORD_H

#include "lib/stringinfo.h"

extern bool remote_record_is(Oid type);
extern Datum remote_record_read(Oid type, StringInfo buffer);

#endif							/* CONSISTENCY_REMOTE_RECORD_H */
