/*-------------------------------------------------------------------------
 *
 * remote_row.h
 *	  Rows and parameters between the wire and the executor.
 *
 * Binary form is exact and cheap.  Send and receive functions of text-like types
 * convert to and from the encoding of the client, so the connection to the
 * other node has that encoding too (remote_settings.c).
 *
 * Text form is used for the few types that have no other, and for those whose
 * text is exact whatever the settings are, where that is cheaper.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_ROW_H
#define CONSISTENCY_REMOTE_ROW_H

#include "executor/tuptable.h"
#include "libpq-fe.h"
#include "nodes/params.h"

#include "remote/remote_query.h"

typedef struct RemoteRowReader RemoteRowReader;

extern RemoteRowReader *remote_row_reader(TupleDesc tupdesc);
extern void remote_row_format(const RemoteRowReader *reader, RemoteQueryText *text);
extern bool remote_row_fits(const RemoteRowReader *reader, const PGresult *shape);
extern void remote_row_read(RemoteRowReader *reader, const RemoteRow *row,
							TupleTableSlot *slot);

extern void remote_row_params(const ParamExternData *params, int nparams,
							  RemoteQueryText *text);

#endif							/* CONSISTENCY_REMOTE_ROW_H */
