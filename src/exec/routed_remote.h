/*-------------------------------------------------------------------------
 *
 * routed_remote.h
 *	  The remote side of a routed scan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ROUTED_REMOTE_H
#define CONSISTENCY_ROUTED_REMOTE_H

#include "executor/tuptable.h"
#include "nodes/params.h"

#include "exec/route.h"
#include "remote/remote_error.h"

typedef struct RoutedRemote RoutedRemote;

extern RoutedRemote *routed_remote_start(const Route *route, const char *sql,
										 const ParamExternData *params, int nparams,
										 TupleDesc tupdesc, bool many_rows,
										 RemoteError *error);
extern bool routed_remote_next(RoutedRemote *remote, TupleTableSlot *slot, RemoteError *error);
extern bool routed_remote_is_stale(const RoutedRemote *remote);
extern Position routed_remote_position(const RoutedRemote *remote);
extern void routed_remote_end(RoutedRemote *remote);

#endif							/* CONSISTENCY_ROUTED_REMOTE_H */
