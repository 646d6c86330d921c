/*-------------------------------------------------------------------------
 *
 * peer.h
 *	  Digests of a table's rows at a replica.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_PEER_H
#define CONSISTENCY_PEER_H

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "core/position.h"
#include "remote/remote_error.h"
#include "verify/descent.h"

/* What is asked of a replica, and its answer */
typedef struct PeerQuestion
{
	Oid			serverid;
	Oid			root;			/* the table that the caller may read */
	Oid			part;			/* what holds the rows */
	DescentRange blocks;
	int			nparts;			/* 0: the rows of blocks.first */
	Position	position;		/* what its snapshot must show */

	char	   *snapshot;		/* that it has used */
	RangeDigest digests[DESCENT_PARTS];
	List	   *rows;			/* HeapRow */
	RemoteError error;
} PeerQuestion;

extern bool peer_ask(PeerQuestion *question);
extern TimestampTz peer_deadline(void);
extern bool peer_is_this_server(Oid serverid);

#endif							/* CONSISTENCY_PEER_H */
