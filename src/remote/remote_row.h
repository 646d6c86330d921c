/*-------------------------------------------------------------------------
 *
 * remote_row.h
 *	  Rows and parameters between the wire and the executor.
 *
 * Binary form is exact and cheap, but send and receive functions of text-like
 * types convert from and to the client's encoding, which is nothing that the
 * other node's bytes are in.  So it is used only where client and database
 * have the same encoding; else text form, whose functions don't convert.
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
extern int	remote_row_format(const RemoteRowReader *reader);
extern bool remote_row_fits(const RemoteRowReader *reader, const PGresult *result);
extern void remote_row_read(RemoteRowReader *reader, const PGresult *result,
							TupleTableSlot *slot);

extern void remote_row_params(const ParamExternData *params, int nparams,
							  RemoteQueryText *text);

#endif							/* CONSISTENCY_REMOTE_ROW_H */
