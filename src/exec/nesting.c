/*-------------------------------------------------------------------------
 *
 * nesting.c
 *	  Are we inside another statement?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"

#include "exec/nesting.h"

int			nesting_depth = 0;
int			nesting_executions = 0;
uint64		nesting_row_limit = 0;
NodeTag		nesting_utility = T_Invalid;
bool		nesting_explains = false;
bool		nesting_planning = false;

/* where the client's statement stands that was analyzed last, in what text */
static const char *analyzed_text = NULL;
static int	analyzed_location;
static int	analyzed_length;

/* where that one stands, as its PlannedStmt says; only while it runs */
static const char *utility_text = NULL;
static const char *prepared_text;	/* of what it EXECUTEs, or NULL */
static Portal utility_portal;
static int	utility_location;
static int	utility_length;

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

static void note_analyzed(ParseState *pstate, Query *query, JumbleState *jstate);

/* Follow the analysis of statements. */
void
nesting_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = note_analyzed;
}

/* What rules make of a statement doesn't know where that stands. */
static void
note_analyzed(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
	if (pstate->p_sourcetext != debug_query_string || query->stmt_location < 0)
		return;
	analyzed_text = pstate->p_sourcetext;
	analyzed_location = query->stmt_location;
	analyzed_length = query->stmt_len;
}

/*
 * nesting_begin_utility
 *		A utility statement begins, which stands there in a text.  Returns what
 *		nesting_utility has to be set to again at its end.
 */
NodeTag
nesting_begin_utility(NodeTag utility, const char *text, const char *prepared,
					  int location, int length)
{
	NodeTag		outer = nesting_utility;

	if (outer != T_Invalid)
		return outer;
	nesting_utility = utility;
	utility_text = text;

	utility_portal = ActivePortal;
	prepared_text = prepared;
	utility_location = location;
	utility_length = length;
	return outer;
}

/*
 * nesting_locate
 *		Where in the text does the client's statement stand that a query is (in)?
 *		Given what the query's own plan says.
 *
 * The query in a DECLARE CURSOR or an EXPLAIN doesn't know; but the statement
 * does; so does that of which a rule has made the query.  What EXECUTE runs has a
 * text of its own.  "executing": as below.
 */
void
nesting_locate(const char *text, bool executing, int *location, int *length)
{
	if (nesting_depth > (executing ? 1 : 0) || text == NULL)
		return;
	if (*location < 0 && nesting_utility == T_Invalid && nesting_is_simple_query() &&
		text == debug_query_string && text == analyzed_text)
	{
		*location = analyzed_location;
		*length = analyzed_length;
	}
	if (utility_text == NULL ||
		(nesting_utility != T_DeclareCursorStmt && nesting_utility != T_ExplainStmt &&
		 nesting_utility != T_CreateTableAsStmt) ||
		strcmp(text, utility_text) != 0)
		return;
	*location = utility_location;
	*length = utility_length;
}

/*
 * nesting_is_clients
 *		Outside of any executor: is a query with this text the one that the
 *		client sent, or that a utility statement has inside?
 *
 * It may also be that of a function that no executor called: for an argument
 * of EXECUTE, by the fast path, for a parameter whose domain checks it, in a
 * trigger at the end of the transaction.
 */
bool
nesting_is_clients(const char *text)
{
	const char *own = nesting_utility == T_Invalid ? debug_query_string : utility_text;

	if (text == NULL)
		return false;
	return text == own || (own != NULL && strcmp(text, own) == 0) ||
	(nesting_utility != T_Invalid && prepared_text != NULL &&
	 strcmp(text, prepared_text) == 0);
}

/*
 * nesting_may_leave
 *		Are we where a query may leave the server: in what the client sent, or
 *		in a utility statement that only shows or hands out the query's rows?
 *
 * "executing": the query's own executor has begun, and counts as a level.
 */
bool
nesting_may_leave(bool executing)
{
	if (nesting_depth > (executing ? 1 : 0))
		return false;

	switch (nesting_utility)
	{
		case T_Invalid:
		case T_ExplainStmt:
		case T_ExecuteStmt:
		case T_CopyStmt:
		case T_DeclareCursorStmt:
			return true;
		default:
			return false;
	}
}

/* The portal of the utility statement that we are inside of; NULL: none. */
Portal
nesting_utility_portal(void)
{
	return nesting_utility == T_Invalid ? NULL : utility_portal;
}

/*
 * nesting_is_simple_query
 *		Did the client's statement come by the simple query protocol?
 *
 * PostgreSQL hides the portals that it makes for these.
 */
bool
nesting_is_simple_query(void)
{
	Portal		portal = nesting_utility == T_Invalid ? ActivePortal : utility_portal;

	return portal != NULL && !portal->visible;
}

/* EXPLAIN ANALYZE? */
bool
nesting_explain_executes(const ExplainStmt *statement)
{
	ListCell   *cell;
	bool		analyze = false;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}
