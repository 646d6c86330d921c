/*-------------------------------------------------------------------------
 *
 * remote_sql.c
 *	  The text of a query, as another node is to get it.
 *
 * As a rule that is what the client has written: the other node parses it with
 * the same search_path, role and settings, and sees the same catalog.  Only its
 * integers are made parameters, so that statements that differ in nothing else
 * share one that is prepared over there.  Where
 * the query is part of another statement (EXPLAIN, PREPARE, DECLARE CURSOR,
 * COPY), or holds expressions to be evaluated here, its text is parsed and
 * analysed once more and deparsed from there; not from the planner's query,
 * in which views and row security are expanded already, which is the other
 * node's business.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/ruleutils.h"

#include "core/compat.h"
#include "exec/nesting.h"
#include "exec/remote_sql.h"
#include "session/hint.h"
#include "session/lexer.h"

/* with more literals texts hardly ever come again */
#define MAX_LITERALS 16

/* from so many rows on COPY is faster, though it has the query planned twice */
#define MANY_ROWS 1000

static char *statement_text(const char *source, int *location, int length);
static bool names_a_moment(const char *text);
static bool is_plain_select(const char *text);
static char *replace_literals(const char *text, int location, List *literals, RemoteSql *sql);
static int	compare_locations(const ListCell *a, const ListCell *b);
static int	literal_length(const char *text, int offset, const Const *literal);
static int	literal_param(RemoteSql *sql, Const *literal);
static SelectStmt *find_select(const char *text);
static Query *analyze(SelectStmt *select, const char *text, const EligibleInfo *info);
static Node *replace_local_exprs(Node *node, RemoteSql *sql);

/* Are so many rows expected that COPY is the better way to get them? */
bool
remote_sql_many_rows(const Plan *plan)
{
	return plan->plan_rows >= MANY_ROWS;
}

/*
 * remote_sql_build
 *		The text of the statement at the given place of the source (as the
 *		parser says: length 0 is up to the end).  False if it can't be had.
 */
bool
remote_sql_build(const char *source, int location, int length,
				 const EligibleInfo *info, const Plan *plan, RemoteSql *sql)
{
	char	   *text = statement_text(source, &location, length);
	SelectStmt *select;
	Query	   *query;

	sql->param_types = list_copy(info->param_types);
	sql->local_exprs = NIL;

	if (names_a_moment(text))
		return false;

	if (nesting_utility == T_Invalid && info->nlocal == 0 && is_plain_select(text))
	{
		/*
		 * Of two expressions that must be the same the query has only one.
		 * And a query with parameters can't be a COPY.
		 */
		sql->text = info->has_groups || remote_sql_many_rows(plan) ? text :
					replace_literals(text, location, info->literals, sql);

		return true;
	}

	select = find_select(text);
	if (select == NULL)
		return false;
	query = analyze(select, text, info);
	query = (Query *) replace_local_exprs((Node *) query, sql);

	/* The rest is in views or policies, and would be evaluated over there. */
	if (list_length(sql->local_exprs) != info->nlocal)
		return false;
	sql->text = pg_get_querydef(query, false);
	return true;
}

/*
 * The statement's own text, and in *location where it begins.  A hint stays
 * behind: it has been obeyed here, and over there it would overrule what the
 * node is told.
 */
static char *
statement_text(const char *source, int *location, int length)
{
	StatementRegion region = {0};

	if (strstr(source, HINT_KEY) != NULL &&
		lexer_find_statement(source, *location, length, &region))
	{
		*location = region.first;
		return pnstrdup(source + region.first, region.last - region.first);
	}
	*location = Max(*location, 0);
	return length > 0 ? pnstrdup(source + *location, length) : pstrdup(source + *location);
}

/*
 * Is there a literal like 'now' or 'today 12:00' in it, that is the time at
 * which it was read?  Words that only look like it keep the query here, too.
 */
static bool
names_a_moment(const char *text)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (const char *p = text; *p != '\0'; p++)
	{
		if (strchr("nNtTyY", *p) == NULL ||
			(p > text &&(isalnum((unsigned char) p[-1]) || p[-1] == '_')))
			continue;
		for (int i = 0; i < lengthof(words); i++)
		{
			size_t		length = strlen(words[i]);

			if (pg_strncasecmp(p, words[i], length) == 0 && p[length] != '(' &&
				p[length] != '_' && !isalnum((unsigned char) p[length]))
				return true;
		}
	}
	return false;
}

/* Certainly one SELECT and nothing else?  A look at the text, no parse. */
static bool
is_plain_select(const char *text)
{
	static const char *const starts[] = {"select", "with", "values", "table"};

	while (isspace((unsigned char) *text))
		text	  ++;

	if (strchr(text, ';') != NULL)
		return false;
	for (int i = 0; i < lengthof(starts); i++)
	{
		size_t		length = strlen(starts[i]);

		if (pg_strncasecmp(text, starts[i], length) == 0 &&
			!isalnum((unsigned char) text[length]) && text[length] != '_')
			return true;
	}
	return false;
}

/*
 * replace_literals
 *		Put parameters in the place of integers.
 *
 * "location" is where the text begins in the source that the literals'
 * locations refer to.  Equal numbers become the same parameter, as expressions
 * that were equal should stay so.
 */
static char *
replace_literals(const char *text, int location, List *literals, RemoteSql *sql)
{
	StringInfoData result;
	ListCell   *cell;
	int			done = 0;

	if (list_length(literals) > MAX_LITERALS)
		return pstrdup(text);

	literals = list_copy(literals);
	list_sort(literals, compare_locations);
	initStringInfo(&result);
	foreach(cell, literals)
	{
		Const	   *literal = lfirst_node(Const, cell);
		int			offset = literal->location - location;
		int			length;

		/* BETWEEN and the like make two expressions of one text. */
		if (offset < done)
			continue;
		length = literal_length(text, offset, literal);
		if (length == 0)
			continue;
		appendBinaryStringInfo(&result, text +done, offset - done);
		appendStringInfo(&result, "$%d", literal_param(sql, literal));
		done = offset + length;
	}
	appendStringInfoString(&result, text +done);
	return result.data;
}

static int
compare_locations(const ListCell *a, const ListCell *b)
{
	return lfirst_node(Const, a)->location - lfirst_node(Const, b)->location;
}

/*
 * The length of the literal in the text; 0 if it isn't a plain unsigned number
 * with the literal's value.
 */
static int
literal_length(const char *text, int offset, const Const *literal)
{
	int			length = 0;
	int64		value = 0;
	char		next;

	if (offset > 0 && (isalnum((unsigned char) text[offset - 1]) ||
					   IS_HIGHBIT_SET(text[offset - 1]) ||
					   strchr("_$.", text[offset - 1]) != NULL))
		return 0;
	while (isdigit((unsigned char) text[offset + length]) && value <= PG_INT32_MAX)
		value = value * 10 + (text[offset + length++] - '0');
	next = text[offset + length];

	if (length == 0 || value != DatumGetInt32(literal->constvalue) ||
		isalnum((unsigned char) next) || IS_HIGHBIT_SET(next) ||
		(next != '\0' && strchr("_$.", next) != NULL))
		return 0;
	return length;
}

/* The number of the parameter that stands for the literal. */
static int
literal_param(RemoteSql *sql, Const *literal)
{
	int			first = list_length(sql->param_types) - list_length(sql->local_exprs);
	ListCell   *cell;

	foreach(cell, sql->local_exprs)
	{
		if (DatumGetInt32(lfirst_node(Const, cell)->constvalue) ==
			DatumGetInt32(literal->constvalue))
			return first + foreach_current_index(cell) + 1;
	}
	sql->local_exprs = lappend(sql->local_exprs, literal);
	sql->param_types = lappend_oid(sql->param_types, INT4OID);
	return list_length(sql->param_types);
}

/* The SELECT in a single statement; NULL if that has none, or isn't single. */
static SelectStmt *
find_select(const char *text)
{
	List	   *statements = raw_parser(text, RAW_PARSE_DEFAULT);
	Node	   *node;

	if (list_length(statements) != 1)
		return NULL;
	node = linitial_node(RawStmt, statements)->stmt;
	for (;;)
	{
		switch (nodeTag(node))
		{
			case T_ExplainStmt:
				node = ((ExplainStmt *) node)->query;
				break;
			case T_PrepareStmt:
				node = ((PrepareStmt *) node)->query;
				break;
			case T_DeclareCursorStmt:
				node = ((DeclareCursorStmt *) node)->query;
				break;
			case T_CopyStmt:
				if (((CopyStmt *) node)->query == NULL)
					return NULL;
				node = ((CopyStmt *) node)->query;
				break;
			case T_SelectStmt:
				return ((SelectStmt *) node)->intoClause ? NULL : (SelectStmt *) node;
			default:
				return NULL;
		}
	}
}

static Query *
analyze(SelectStmt *select, const char *text, const EligibleInfo *info)
{
	RawStmt    *raw = makeNode(RawStmt);
	Oid		   *types = palloc(sizeof(Oid) * info->nparams);
	ListCell   *cell;
	int			i = 0;

	foreach(cell, info->param_types)
		types[i++] = lfirst_oid(cell);
	raw->stmt = (Node *) select;
	return parse_analyze_fixedparams(raw, text, types, info->nparams, NULL);
}

/* Put a parameter in the place of each local expression. */
static Node *
replace_local_exprs(Node *node, RemoteSql *sql)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, replace_local_exprs, sql, 0);
	if (eligible_is_local_expression(node))
	{
		Param	   *param = makeNode(Param);

		sql->local_exprs = lappend(sql->local_exprs, node);
		sql->param_types = lappend_oid(sql->param_types, exprType(node));
		param->paramkind = PARAM_EXTERN;
		param->paramid = list_length(sql->param_types);
		param->paramtype = exprType(node);
		param->paramtypmod = exprTypmod(node);
		param->paramcollid = exprCollation(node);
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, replace_local_exprs, sql);
}
