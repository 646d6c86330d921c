/*-------------------------------------------------------------------------
 *
 * compare_peer.h
 *	  Rows of an attached table at a peer: digests of ranges, and what keys have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMPARE_PEER_H
#define CONSISTENCY_COMPARE_PEER_H

#include "group/key_state.h"
#include "remote/remote_error.h"
#include "verify/descent.h"

typedef struct ComparePeer
{
	const char *name;
	Oid			serverid;
} ComparePeer;

/* A row, as far as it is needed to see whether it is the same elsewhere */
typedef struct KeyDigest
{
	char	   *key;
	uint64		digest;
} KeyDigest;

/* A digest of more rows than a member counts at once */
#define RANGE_TOO_LARGE (-1)

extern void compare_peer_digests(const ComparePeer *peer, const KeyTable *table, bool deletions,
								 char **bounds, int parts, RangeDigest *digests);
extern KeyDigest *compare_peer_rows(const ComparePeer *peer, const KeyTable *table,
									bool deletions, const char *after, const char *upto,
									int limit, int *n);
extern KeyState *compare_peer_states(const ComparePeer *peer, const KeyTable *table,
									 char **keys, int n, bool whole);
extern KeyDigest *key_digests(const KeyTable *table, bool deletions, const char *after,
							  const char *upto, int limit, int *n);

#endif							/* CONSISTENCY_COMPARE_PEER_H */
