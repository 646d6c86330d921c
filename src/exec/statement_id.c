/*-------------------------------------------------------------------------
 *
 * statement_id.c
 *	  What statements with tokens are counted as.
 *
 * PostgreSQL identifies most utility statements by their text.  One that sets a
 * token has another text each time: routers and clients send many of them, and
 * pg_stat_statements would forget everything else over them.  So all of them
 * have one identifier, the one of the text without the token.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "parser/analyze.h"

#include "exec/statement_id.h"

#define TOKEN_SETTING "consistency.token"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

static void identify_statement(ParseState *pstate, Query *query, JumbleState *jstate);

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
	if (query->queryId != 0 && query->utilityStmt != NULL &&
		IsA(query->utilityStmt, VariableSetStmt))
	{
		const VariableSetStmt *set = (const VariableSetStmt *) query->utilityStmt;

		if (set->kind == VAR_SET_VALUE && strcmp(set->name, TOKEN_SETTING) == 0)
			query->queryId = hash_bytes_extended((const unsigned char *) "SET " TOKEN_SETTING,
												 sizeof("SET " TOKEN_SETTING) - 1, 0);
	}
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}
