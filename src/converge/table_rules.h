/*-------------------------------------------------------------------------
 *
 * table_rules.h
 *	  How the rows of an attached table are merged, column by column.
 *
 * The declaration is the table's trigger: its one argument is a JSON object with
 * what was said when it was attached.  So it is dumped, renamed and dropped with
 * the table, and to know it takes no look into another table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TABLE_RULES_H
#define CONSISTENCY_TABLE_RULES_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

/* of the column that attach adds, and of its triggers */
#define ROW_VERSION_COLUMN "row_version"
#define MERGE_TRIGGER "zzz_consistency_merge"
#define TRUNCATE_TRIGGER "zzz_consistency_truncate"

typedef enum MergeRule
{
	RULE_NOTHING,				/* dropped, or generated */
	RULE_KEY,					/* never changes */
	RULE_VERSION,				/* the row's version */
	RULE_CRDT,					/* by its type */
	RULE_LAST_OF_ROW,			/* all such columns come from the last write
								 * to any of them */
	RULE_LAST,					/* the last write to this column */
	RULE_FIRST,					/* the first value that isn't null */
	RULE_HIGHEST,				/* by the type's order; null loses */
	RULE_LOWEST,				/* by the type's order; null loses */
	RULE_MULTI_VALUE,			/* all that were written concurrently */
	RULE_FUNCTION				/* a function of the user's */
} MergeRule;

typedef struct ColumnRule
{
	MergeRule	rule;
	AttrNumber	number;
	const char *name;
	Oid			type;
	int32		typmod;
	bool		byval;
	int16		length;
	Oid			collation;		/* to compare by */
	bool		not_null;
	bool		depends_on_settings;	/* its text does, say on TimeZone */
	FmgrInfo	output;
	FmgrInfo	input;
	Oid			ioparam;
	FmgrInfo	compare;		/* of RULE_HIGHEST and RULE_LOWEST */
	Oid			function;		/* of RULE_FUNCTION; invalid: none that fits */
	RegProcedure equal;			/* of RULE_KEY: for scans of the key's index */
} ColumnRule;

typedef struct TableRules
{
	Oid			relation;		/* key of the cache */
	bool		valid;
	MemoryContext context;		/* of all that is below */

	bool		add_wins;		/* else deletions win over what they haven't
								 * seen */
	bool		by_column;		/* last writers of each column, not of the row */
	const char *name;			/* schema and table, quoted, the same at all
								 * members */
	int			ncolumns;
	ColumnRule *columns;		/* by attribute number - 1 */
	int		   *by_name;		/* indexes of columns, in the order of names */
	AttrNumber	version;		/* of the row's version */
	int			nkeys;
	AttrNumber *keys;			/* columns of the primary key, in its order */
	Oid			key_index;
	List	   *other_indexes;	/* that are unique or exclude rows, at once */
} TableRules;

extern TableRules *table_rules(Relation relation);
extern TableRules *table_rules_if_attached(Relation relation);
extern Trigger *table_rules_trigger(Relation relation);
extern MergeRule table_rules_parse(const char *word);
extern bool table_rules_type_merges(Oid type);
extern List *table_rules_functions(TableRules *rules);
extern Oid	table_rules_function(const char *said, Oid type);
extern bool table_rules_function_fits(Oid function, Oid type);

#endif							/* CONSISTENCY_TABLE_RULES_H */
