/*-------------------------------------------------------------------------
 *
 * key_scan.h
 *	  Reading rows of an attached table, or what is left of deleted ones, by key.
 *
 * Members keep the same row in different places, so ranges of rows are ranges of
 * keys, each given by the key before its first row and that of its last one, as
 * texts; NULL leaves an end open.  Each member reads a range by its own index, in
 * the order of its own collations.  Where these orders differ, so do the ranges;
 * but a row of an end-to-end chain of ranges is in one of them in any order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_KEY_SCAN_H
#define CONSISTENCY_KEY_SCAN_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

#include "converge/table_rules.h"

/* A table that is open */
typedef struct KeyTable
{
	Oid			root;			/* that the caller may read */
	Relation	relation;		/* what holds the rows */
	TableRules *rules;
	int			ncolumns;		/* that are compared: */
	ColumnRule **columns;		/* by name */
	int64		columns_digest; /* of their names */
} KeyTable;

typedef struct KeyScan
{
	const KeyTable *table;
	bool		deletions;		/* read what is left of deleted rows */
	Relation	relation;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	int			nesting;		/* of settings */
	int			nkeys;
	ScanKeyData keys[INDEX_MAX_KEYS];
	ScanKeyData members[2][INDEX_MAX_KEYS]; /* of row comparisons */
} KeyScan;

extern KeyTable *key_table_open(Oid root, Oid leaf, bool missing_ok);
extern void key_table_close(KeyTable *table);
extern char *key_table_name(Oid relation);

extern Snapshot key_scan_snapshot(void);
extern KeyScan *key_scan_range(const KeyTable *table, bool deletions, Snapshot snapshot,
							   const char *after, const char *upto);
extern KeyScan *key_scan_key(const KeyTable *table, bool deletions, Snapshot snapshot,
							 const char *key);
extern bool key_scan_next(KeyScan *scan);
extern char *key_scan_text(const KeyScan *scan);
extern uint64 key_scan_digest(const KeyScan *scan, uint64 *columns);
extern void key_scan_end(KeyScan *scan);

#endif							/* CONSISTENCY_KEY_SCAN_H */
