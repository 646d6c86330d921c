/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  Policies of tables: which consistency their readers get.
 *
 * A policy is a security label of the provider "consistency" on the table.  So
 * PostgreSQL itself sees to it that only the owner sets it, that it goes with
 * the table, is replicated, and is dumped.  A policy holds for the table and
 * for all that inherit from it or are its partitions, at any depth, however
 * they are read.  What a policy of a view means is up to the caller.
 *
 * DROP EXTENSION leaves the labels where they are.  They mean nothing then,
 * and count again once the extension is back: callers ask
 * extension_is_created() first.
 *
 * SECURITY LABEL needs the library in its session.  CREATE EXTENSION loads it,
 * so a dump can be restored without preloading.  Where only tables are
 * restored, or the extension is there already, LOAD 'consistency' comes first.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_POLICY_H
#define CONSISTENCY_POLICY_H

#include "access/transam.h"
#include "datatype/timestamp.h"

#include "core/guc.h"
#include "session/level.h"

typedef enum PolicyKind
{
	POLICY_MINIMUM,				/* no session goes below it */
	POLICY_DEFAULT				/* counts where the session declares nothing */
} PolicyKind;

typedef struct Policy
{
	PolicyKind	kind;
	ConsistencyLevel level;		/* never LEVEL_UNSET */
	int			max_staleness_ms;	/* level bounded only; -1: not said */
	int			max_lag;		/* bytes, level bounded only; -1: not said */
	OnTimeout	on_timeout;		/* may be ON_TIMEOUT_UNSET */
	int			write_quorum;	/* of who writes, kind minimum only;
								 * QUORUM_UNSET: not said */
	Oid			relation;		/* that has it: the table or an ancestor */
} Policy;

extern void policy_init(void);

/* of the catalog, for policy_cache.c: the relation's own policy */
extern bool policy_read(Oid relid, Policy *policy);

extern void policy_set(Oid relid, const Policy *policy);
extern int	policy_interval_ms(const Interval *interval, const char *argument);
extern Datum policy_interval_datum(int ms);

/* do not use outside: the look-up behind policy_of_relation() */
extern int	policy_cache_lookup(Oid relid, const Policy **policies);

/*
 * policy_of_relation
 *		The policies that hold for a relation: its own first, then those of
 *		what it inherits from or is a partition of, the nearest first.  Returns
 *		their number; *policies is valid until the next call.
 *
 * Needs a transaction.  An unreadable policy is an error.
 */
static inline int
policy_of_relation(Oid relid, const Policy **policies)
{
	return relid < FirstNormalObjectId ? 0 : policy_cache_lookup(relid, policies);
}

#endif							/* CONSISTENCY_POLICY_H */
