/*-------------------------------------------------------------------------
 *
 * statement_id.c
 *	  What statements that routers and clients send are counted as.
 *
 * PostgreSQL identifies most utility statements by their text.  One that sets a
 * token has another text each time: routers and clients send many of them, and
 * pg_stat_statements would forget everything else over them.  So all of them
 * have one identifier, the one of the text without the token.
 *
 * So has a COPY of a query, which is how one of many rows is sent (remote_copy.c):
 * another text for each constant in it.  The same query stands ahead of it in the
 * text, to tell the columns, and its identifier knows no constants.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"

#include "exec/statement_id.h"
#include "remote/settings_report.h"

#define TOKEN_SETTING "consistency.token"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

/* the last query that was analysed, only to be compared with: its text, its identifier */
static const char *last_text = NULL;
static uint64 last_id;

static void identify_statement(ParseState *pstate, Query *query, JumbleState *jstate);
static void identify_utility(const char *text, Query *query);
static uint64 id_of(const char *name);

/* Install the hook. */
void
statement_id_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = identify_statement;
}

static void
identify_statement(ParseState *pstate, Query *query, JumbleState *jstate)
{
	/* without an identifier nobody wants any */
	if (query->queryId != 0 && query->utilityStmt != NULL)
		identify_utility(pstate->p_sourcetext, query);
	else if (pstate->p_sourcetext == debug_query_string)
	{
		last_text = pstate->p_sourcetext;
		last_id = query->queryId;
	}
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

/* A utility statement that has another text each time gets an identifier that lasts. */
static void
identify_utility(const char *text, Query *query)
{
	const Node *statement = query->utilityStmt;

	if (IsA(statement, VariableSetStmt))
	{
		const VariableSetStmt *set = (const VariableSetStmt *) statement;

		if (set->kind == VAR_SET_VALUE && strcmp(set->name, TOKEN_SETTING) == 0)
			query->queryId = id_of("SET " TOKEN_SETTING);
	}
	else if (IsA(statement, CopyStmt) && ((const CopyStmt *) statement)->query != NULL &&
			 settings_report_asked() && text == last_text && last_id != 0)
		query->queryId = hash_combine64(last_id, id_of("COPY"));
}

static uint64
id_of(const char *name)
{
	return hash_bytes_extended((const unsigned char *) name, strlen(name), 0);
}
