/*-------------------------------------------------------------------------
 *
 * advise_statements.c
 *	  What pg_stat_statements tells consistency.advise(), where it is there.
 *
 * It keeps texts, no tables.  So each text is parsed, as far as needs no
 * catalog, and the names in it are looked up as the caller would.  Texts that
 * the caller may not see, or that no longer parse once their constants are
 * gone, don't count; tables below views neither.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "advise/advise.h"
#include "core/attempt.h"

/* One row of pg_stat_statements */
typedef struct StatementRow
{
	Oid			userid;
	Oid			dbid;
	int64		calls;
	double		total_ms;
	const char *query;
} StatementRow;

static void read_statements(void *arg);
static void set_quietly(const char *name, const char *value);
static bool is_refusal(const ErrorData *error);
static char *statements_view(void);
static void count_rows(AdviseFacts *facts);
static void count_row(AdviseFacts *facts, uint64 row);
static void count_statement(AdviseFacts *facts, const StatementRow *row);
static bool count_read(AdviseFacts *facts, const StatementRow *row, Node *statement);
static void count_of_role(AdviseFacts *facts, const StatementRow *row, bool reads);
static List *parse(const char *query);
static bool only_reads(const Node *statement);
static bool writes_rows(const Node *statement);
static bool relations_walker(Node *node, void *context);
static Oid	relation_of(const RangeVar *name);

/*
 * advise_statements
 *		Add the calls of statements to tables and roles.
 *
 * Whatever keeps us from reading them (not loaded, not granted, another
 * version) is as if there were none.
 */
void
advise_statements(AdviseFacts *facts)
{
	ErrorData  *error;

	if (!OidIsValid(get_extension_oid("pg_stat_statements", true)))
		return;
	error = attempt(read_statements, facts);
	if (error != NULL && !is_refusal(error))
		ReThrowError(error);
}

/* Is it about pg_stat_statements, not about us? */
static bool
is_refusal(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
		error->sqlerrcode == ERRCODE_UNDEFINED_COLUMN ||
		error->sqlerrcode == ERRCODE_UNDEFINED_TABLE;
}

static void
read_statements(void *arg)
{
	AdviseFacts *facts = arg;
	char	   *query;
	int			level = NewGUCNestLevel();

	/* what the parser has to say of these texts was said when they ran */
	set_quietly("client_min_messages", "error");
	set_quietly("escape_string_warning", "off");

	SPI_connect();
	query = psprintf("SELECT userid, dbid, calls, total_exec_time, query FROM %s",
					 statements_view());
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_stat_statements");
	count_rows(facts);
	SPI_finish();
	AtEOXact_GUC(true, level);
	facts->has_statements = true;
}

/* Set a setting for as long as its nesting level lasts. */
static void
set_quietly(const char *name, const char *value)
{
	set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Its name; an error if it isn't there. */
static char *
statements_view(void)
{
	if (SPI_execute("SELECT pg_catalog.format('%I.pg_stat_statements', n.nspname)"
					" FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n"
					" ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
					" WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'",
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not find pg_stat_statements");
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* What parsing a text takes is given back before the next one: there are thousands. */
static void
count_rows(AdviseFacts *facts)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "statement to be counted",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		count_row(facts, i);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
count_row(AdviseFacts *facts, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	StatementRow statement;
	bool		isnull;

	statement.query = SPI_getvalue(tuple, desc, 5);
	statement.userid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
	statement.dbid = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
	statement.calls = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
	statement.total_ms = DatumGetFloat8(SPI_getbinval(tuple, desc, 4, &isnull));
	if (statement.dbid == MyDatabaseId && statement.query)
		count_statement(facts, &statement);
}

static void
count_statement(AdviseFacts *facts, const StatementRow *row)
{
	List	   *parsed = parse(row->query);
	Node	   *statement;

	if (list_length(parsed) != 1)
		return;
	statement = linitial_node(RawStmt, parsed)->stmt;
	if (only_reads(statement))
	{
		if (count_read(facts, row, statement))
			count_of_role(facts, row, true);
	}
	else if (writes_rows(statement))
		count_of_role(facts, row, false);
}

/* Count it for each table that it names.  False if it names no relation. */
static bool
count_read(AdviseFacts *facts, const StatementRow *row, Node *statement)
{
	List	   *relids = NIL;
	ListCell   *cell;

	raw_expression_tree_walker(statement, relations_walker, &relids);
	foreach(cell, relids)
	{
		AdviseTable *table = advise_find_table(facts, lfirst_oid(cell));

		if (table)
		{
			table->calls.reads += row->calls;
			table->calls.read_ms += row->total_ms;
		}
	}
	return relids != NIL;
}

static void
count_of_role(AdviseFacts *facts, const StatementRow *row, bool reads)
{
	ListCell   *cell;

	foreach(cell, facts->declared)
	{
		AdviseDeclared *declared = lfirst(cell);

		if (OidIsValid(declared->roleid) && declared->roleid != row->userid)
			continue;
		if (reads)
		{
			declared->calls.reads += row->calls;
			declared->calls.read_ms += row->total_ms;
		}
		else
			declared->calls.writes += row->calls;
	}
}

/*
 * The statements of a text; none if it can't be parsed.  The parser holds
 * nothing but memory, so its errors can be swallowed as they are.
 */
static List *
parse(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *volatile statements = NIL;

	PG_TRY();
	{
		statements = raw_parser(query, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return statements;
}

static bool
only_reads(const Node *statement)
{
	const SelectStmt *select = (const SelectStmt *) statement;

	return IsA(statement, SelectStmt) && select->intoClause == NULL && select->lockingClause == NIL;
}

static bool
writes_rows(const Node *statement)
{
	return IsA(statement, InsertStmt) || IsA(statement, UpdateStmt) ||
		IsA(statement, DeleteStmt) || IsA(statement, MergeStmt);
}

/* Gather the relations that a statement names, each once. */
static bool
relations_walker(Node *node, void *context)
{
	List	  **relids = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		Oid			relid = relation_of((RangeVar *) node);

		if (OidIsValid(relid))
			*relids = list_append_unique_oid(*relids, relid);
		return false;
	}
	return raw_expression_tree_walker(node, relations_walker, context);
}

/* The relation of that name, its root if it is a partition; or none. */
static Oid
relation_of(const RangeVar *name)
{
	Oid			relid;

	if (name->schemaname)
		relid = get_relname_relid(name->relname, get_namespace_oid(name->schemaname, true));
	else
		relid = RelnameGetRelid(name->relname);
	if (OidIsValid(relid) && get_rel_relispartition(relid))
		relid = llast_oid(get_partition_ancestors(relid));
	return relid;
}
