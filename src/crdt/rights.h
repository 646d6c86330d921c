/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  Who may take how much from a bounded counter.
 *
 * Accounts are ordered by the replica's id, transfers by the places of the giving
 * and of the receiving account.  Whatever is in here only grows: what a replica
 * has made, has used up, and has given to another one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CRDT_RIGHTS_H
#define CONSISTENCY_CRDT_RIGHTS_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "crdt/counter.h"
#include "crdt/wire.h"

/* What a replica has done by itself.  Both may be 0 if something was transferred to it. */
typedef struct RightsAccount
{
	uint64		id;				/* of the replica, > 0 */
	uint64		created;		/* counted up, 0 .. CRDT_MAX_COUNT */
	uint64		consumed;		/* counted down, 0 .. CRDT_MAX_COUNT */
} RightsAccount;

/* All that one replica has ever given to another. */
typedef struct RightsTransfer
{
	int			from;			/* places of accounts, not the same */
	int			to;
	uint64		amount;			/* 1 .. CRDT_MAX_COUNT */
} RightsTransfer;

typedef struct Rights
{
	int64		bound;			/* the value never falls below it */
	int			n;
	RightsAccount *accounts;
	int			n_transfers;
	RightsTransfer *transfers;
} Rights;

extern void rights_check(CrdtReader body, int depth);
extern Rights rights_read(CrdtReader body);
extern void rights_write(CrdtBuffer *out, const Rights *rights);
extern Rights rights_parse(JsonbValue *json);
extern void rights_format(StringInfo out, const Rights *rights);
extern Rights rights_join(const Rights *a, const Rights *b);
extern int	rights_find(const Rights *rights, uint64 id);
extern CounterValue rights_of(const Rights *rights, int account);
extern uint64 rights_transferred(const Rights *rights, uint64 from, uint64 to);

#endif							/* CONSISTENCY_CRDT_RIGHTS_H */
