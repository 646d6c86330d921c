/*-------------------------------------------------------------------------
 *
 * policy_cache.c
 *	  Which policies hold for a relation, remembered by each session.
 *
 * Every execution asks for every relation that it reads, so the answer, mostly
 * "none", is kept in a hash table, and filled in when it is first asked for.
 *
 * An answer depends on the relation and on all its ancestors: their labels,
 * and what they inherit from.  Changes of either send relation cache
 * invalidations.  Ancestors are in the table too.  When one of them changes,
 * which is rare, all is forgotten; so nobody has to know its descendants.
 * (Only ALTER TABLE ... INHERIT of a table without columns sends none.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "common/hashfn.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "session/policy.h"

#define INITIAL_SIZE 64

typedef struct PolicyEntry
{
	Oid			relid;
	char		status;			/* for simplehash */
	bool		is_ancestor;	/* of another entry */
	bool		known;			/* the rest holds */
	int			count;			/* of policies */
	Policy	   *policies;		/* NULL if there are none */
} PolicyEntry;

#define SH_PREFIX entries
#define SH_ELEMENT_TYPE PolicyEntry
#define SH_KEY_TYPE Oid
#define SH_KEY relid
#define SH_HASH_KEY(table, key) murmurhash32(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static MemoryContext cache_context = NULL;
static entries_hash *entries = NULL;

/* is all to be forgotten before the next look-up? */
static bool outdated = true;

/* invalidations that came in */
static uint64 changes = 0;

static void start_anew(void);
static int	read_policies(Oid relid, const Policy **policies);
static List *with_ancestors(Oid relid);
static List *add_parents(List *relids, Oid relid);
static PolicyEntry *entry_of(Oid relid);
static void forget_relation(Datum arg, Oid relid);

/* See policy_of_relation(). */
int
policy_cache_lookup(Oid relid, const Policy **policies)
{
	PolicyEntry *entry;

	if (unlikely(outdated))
		start_anew();
	entry = entries_lookup(entries, relid);
	if (unlikely(entry == NULL || !entry->known))
		return read_policies(relid, policies);
	*policies = entry->policies;
	return entry->count;
}

/* Forget everything. */
static void
start_anew(void)
{
	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "consistency policies",
											  ALLOCSET_DEFAULT_SIZES);
		CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
	}
	entries = NULL;
	MemoryContextReset(cache_context);
	entries = entries_create(cache_context, INITIAL_SIZE, NULL);
	outdated = false;
}

/* Look into the catalog, and remember the answer unless it was overtaken. */
static int
read_policies(Oid relid, const Policy **policies)
{
	uint64		before = changes;
	List	   *relids = with_ancestors(relid);
	Policy	   *found = palloc(list_length(relids) * sizeof(Policy));
	Policy	   *kept = NULL;
	int			count = 0;
	ListCell   *cell;

	foreach(cell, relids)
	{
		if (policy_read(lfirst_oid(cell), &found[count]))
			count++;
	}
	if (count > 0)
	{
		kept = MemoryContextAlloc(cache_context, count * sizeof(Policy));
		memcpy(kept, found, count * sizeof(Policy));
	}

	if (changes == before)
	{
		PolicyEntry *entry = entry_of(relid);

		entry->known = true;
		entry->count = count;
		entry->policies = kept;
		for_each_from(cell, relids, 1)
			entry_of(lfirst_oid(cell))->is_ancestor = true;
	}
	else if (count > 0)
		outdated = true;		/* good for this once, freed by the next call */

	list_free(relids);
	pfree(found);
	*policies = kept;
	return count;
}

/* The relation and its ancestors, the nearest first. */
static List *
with_ancestors(Oid relid)
{
	List	   *relids = list_make1_oid(relid);

	/* the list grows as we go */
	for (int i = 0; i < list_length(relids); i++)
		relids = add_parents(relids, list_nth_oid(relids, i));
	return relids;
}

/* Append the parents of a relation that aren't in the list yet. */
static List *
add_parents(List *relids, Oid relid)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relids = list_append_unique_oid(relids, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return relids;
}

/* The entry of a relation, a new one if there is none. */
static PolicyEntry *
entry_of(Oid relid)
{
	bool		found;
	PolicyEntry *entry = entries_insert(entries, relid, &found);

	if (!found)
	{
		entry->is_ancestor = false;
		entry->known = false;
		entry->count = 0;
		entry->policies = NULL;
	}
	return entry;
}

/*
 * A relation has changed, or all may have (InvalidOid).  Policies that were
 * handed out stay until the next look-up.
 */
static void
forget_relation(Datum arg, Oid relid)
{
	PolicyEntry *entry;

	changes++;
	if (outdated)
		return;
	if (!OidIsValid(relid))
	{
		outdated = true;
		return;
	}
	entry = entries_lookup(entries, relid);
	if (entry == NULL)
		return;
	if (entry->is_ancestor || entry->count > 0)
		outdated = true;
	else
		entries_delete_item(entries, entry);
}
