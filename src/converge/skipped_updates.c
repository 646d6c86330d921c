/*-------------------------------------------------------------------------
 *
 * skipped_updates.c
 *	  Updates that apply skips, since it doesn't find their row.
 *
 * The row was deleted here, or it moved while apply was looking for it: its scan
 * sees neither the old place nor the new one.  Then the update is lost, and the
 * nodes differ until they are compared.  Up to version 17 nothing but a message
 * at level DEBUG1 tells of it, from 18 on a message at level LOG.
 *
 * So in processes that apply (no others) log_min_messages is lowered to DEBUG1, and
 * emit_log_hook sees to it that no more gets into the log than before: what the
 * setting was, or became with a reload, is its reset value, as ours is like that
 * of a SET.  A level that somebody sets on top, as a function with a SET clause
 * does, is left to itself.
 *
 * The message names the table without its schema, its context both.  They are in
 * the middle of a text that may be translated, and the hook may not look into
 * the catalog.  So it keeps the text, and before the transaction commits we look which
 * table of the subscription is named there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_subscription_rel.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "utils/elog.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "converge/conflict_counters.h"
#include "converge/conflict_log.h"
#include "converge/skipped_updates.h"
#include "core/compat.h"

/* what tells of a skipped update: the beginning of the message's id */
#define SKIPPED_MESSAGE "logical replication did not find row to be updated"

/* from version 18 on: this, with the kind in the message */
#define CONFLICT_MESSAGE "conflict detected on relation"
#define CONFLICT_MISSING "=update_missing"

/* different texts that are kept; there is one for each table */
#define MAX_TEXTS 64

/* A message of this transaction, with its context. */
typedef struct SkippedText
{
	char	   *text;			/* in TopTransactionContext */
	uint64		count;
} SkippedText;

static emit_log_hook_type prev_emit_log_hook = NULL;

static bool asked = false;		/* do we know whether this process applies? */
static struct config_enum *level = NULL;	/* log_min_messages, if it does */

static SkippedText texts[MAX_TEXTS];
static int	ntexts = 0;

static void at_transaction_end(XactEvent event, void *arg);
static void watch(void);
static struct config_enum *find_level(void);
static void consistency_emit_log(ErrorData *edata);
static bool is_unwanted(int elevel);
static bool is_logged(int elevel, int min_level);
static bool is_skipped_update(const ErrorData *edata);
static void keep_text(const ErrorData *edata);
static void count_skipped(void);
static Oid	find_relation(const char *text);
static Size named_length(const char *text, Oid relation);

/* Works without preloading, but nothing is counted then. */
void
skipped_updates_init(void)
{
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = consistency_emit_log;
	RegisterXactCallback(at_transaction_end, NULL);
}

/*
 * The first transaction of a process that applies is that of its start, ahead
 * of all changes.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (unlikely(!asked))
	{
		asked = true;
		if (IsLogicalWorker())
			watch();
	}
	if (likely(ntexts == 0))
		return;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		count_skipped();
	if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		ntexts = 0;
}

/* Let messages at level DEBUG1 be made in this process. */
static void
watch(void)
{
	level = find_level();
	if (level && *level->variable > DEBUG1)
		SetConfigOption("log_min_messages", "debug1", PGC_SUSET, PGC_S_SESSION);
}

static struct config_enum *
find_level(void)
{
	int			n;
	struct config_generic **all = compat_guc_variables(&n);

	for (int i = 0; i < n; i++)
	{
		if (strcmp(all[i]->name, "log_min_messages") == 0 && all[i]->vartype == PGC_ENUM)
			return (struct config_enum *) all[i];
	}
	return NULL;
}

/* --- the log ------------------------------------------------------------- */

static void
consistency_emit_log(ErrorData *edata)
{
	if (level != NULL)
	{
		if (is_skipped_update(edata))
			keep_text(edata);
		if (is_unwanted(edata->elevel))
		{
			edata->output_to_server = false;
			return;
		}
	}
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

/* Is a message made only since we have lowered the level? */
static bool
is_unwanted(int elevel)
{
	return *level->variable == DEBUG1 && level->gen.source == PGC_S_SESSION &&
		!is_logged(elevel, level->reset_val);
}

/* Does a message get into the log at this log_min_messages?  LOG ranks between ERROR and FATAL there. */
static bool
is_logged(int elevel, int min_level)
{
	if (elevel == LOG || elevel == LOG_SERVER_ONLY)
		return min_level == LOG || min_level <= ERROR;
	if (min_level == LOG)
		return elevel >= FATAL;
	return elevel >= min_level;
}

static bool
is_skipped_update(const ErrorData *edata)
{
	const char *id = edata->message_id;

	if (id == NULL || edata->message == NULL)
		return false;
	if (strncmp(id, SKIPPED_MESSAGE, strlen(SKIPPED_MESSAGE)) == 0)
		return true;
	return strncmp(id, CONFLICT_MESSAGE, strlen(CONFLICT_MESSAGE)) == 0 &&
		strstr(edata->message, CONFLICT_MISSING) != NULL;
}

/* No errors, please: we are amid of another message. */
static void
keep_text(const ErrorData *edata)
{
	const char *context = edata->context ? edata->context : "";
	Size		size = strlen(edata->message) + strlen(context) + 2;
	SkippedText *last = ntexts > 0 ? &texts[ntexts - 1] : NULL;
	char	   *text;

	if (!IsTransactionState())
		return;
	text = MemoryContextAllocExtended(TopTransactionContext, size, MCXT_ALLOC_NO_OOM);

	if (text == NULL)
		return;
	snprintf(text, size, "%s\n%s", edata->message, context);
	for (SkippedText *other = texts; other < texts + ntexts; other++)
	{
		if (strcmp(other->text, text) == 0)
		{
			other->count++;
			pfree(text);
			return;
		}
	}
	if (ntexts == MAX_TEXTS)
	{
		/* better in another table's count than in none */
		last->count++;
		pfree(text);
		return;
	}
	texts[ntexts].text = text;

	texts[ntexts++].count = 1;
}

/* --- which table --------------------------------------------------------- */

/* The transaction commits: the updates it has skipped are lost. */
static void
count_skipped(void)
{
	for (int i = 0; i < ntexts; i++)
	{
		Oid			relation = find_relation(texts[i].text);

		if (!OidIsValid(relation))
			continue;
		for (uint64 n = 0; n < texts[i].count; n++)
			conflict_counters_count(relation, InvalidAttrNumber, CONFLICT_UPDATE_MISSING,
									RESOLUTION_KEPT_LOCAL);
		conflict_log_skipped(relation, texts[i].count);
	}
}

/* The table of our subscription that a text names; of several the longest name. */
static Oid
find_relation(const char *text)
{
	Relation	catalog = table_open(SubscriptionRelRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;
	Size		longest = 0;

	ScanKeyInit(&key, Anum_pg_subscription_rel_srsubid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(MyLogicalRepWorker->subid));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relation = ((Form_pg_subscription_rel) GETSTRUCT(tuple))->srrelid;
		Size		length = named_length(text, relation);

		if (length > longest)
		{
			longest = length;
			found = relation;
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* The length of a table's name with its schema, if it occurs in a text; else 0. */
static Size
named_length(const char *text, Oid relation)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relation));
	char	   *name = get_rel_name(relation);
	char	   *both;
	Size		length;

	if (schema == NULL || name == NULL)
		return 0;
	both = psprintf("%s.%s", schema, name);
	length = strstr(text, both) ? strlen(both) : 0;
	pfree(both);
	pfree(schema);
	pfree(name);
	return length;
}
