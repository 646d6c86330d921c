/*-------------------------------------------------------------------------
 *
 * forward_execute.c
 *	  EXECUTE inside of a statement that runs at the primary.
 *
 * What the client has prepared, this server knows.  CREATE TABLE AS EXECUTE and
 * EXPLAIN ANALYZE EXECUTE run at the primary as a whole: for them it is prepared
 * there as well, for this one time, under a name that nobody else uses.  An error
 * leaves it behind, as the connection goes on: that costs no more than memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/prepare.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "exec/forward_execute.h"
#include "exec/writes.h"

static void run_command(const ForwardStatement *statement, const char *sql);

/* The EXECUTE in a statement; NULL: there is none. */
const ExecuteStmt *
forward_execute_in(Node *statement)
{
	Node	   *query = NULL;

	if (IsA(statement, ExecuteStmt))
		return (ExecuteStmt *) statement;
	if (IsA(statement, ExplainStmt))
		query = ((ExplainStmt *) statement)->query;
	else if (IsA(statement, CreateTableAsStmt))
		query = ((CreateTableAsStmt *) statement)->query;
	if (query == NULL || !IsA(query, Query) || ((Query *) query)->utilityStmt == NULL)
		return NULL;
	return forward_execute_in(((Query *) query)->utilityStmt);
}

/* Does what it executes need the primary? */
bool
forward_execute_writes(const ExecuteStmt *execute)
{
	PreparedStatement *prepared = FetchPreparedStatement(execute->name, true);
	ListCell   *cell;

	foreach(cell, prepared->plansource->query_list)
	{
		if (writes_query(lfirst_node(Query, cell)))
			return true;
	}
	return false;
}

/*
 * forward_execute_prepare
 *		Prepare at the primary what the statement executes.  Returns its name there,
 *		which the statement's text has from now on.
 */
char *
forward_execute_prepare(ForwardStatement *statement, const ExecuteStmt *execute)
{
	static uint32 number = 0;
	const CachedPlanSource *source = FetchPreparedStatement(execute->name, true)->plansource;
	char	   *name = psprintf("consistency_execute_%u", number++);
	int			nparams = list_length(execute->params);
	StringInfoData sql;

	/* There the name would be another one. */
	if (nparams != source->num_params)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("wrong number of parameters for prepared statement \"%s\"", execute->name),
				 errdetail("Expected %d parameters but got %d.", source->num_params, nparams)));

	initStringInfo(&sql);
	appendStringInfo(&sql, "PREPARE %s", name);
	for (int i = 0; i < nparams; i++)
		appendStringInfo(&sql, "%s%s", i == 0 ? " (" : ", ",
						 format_type_be_qualified(source->param_types[i]));
	appendStringInfo(&sql, "%s AS %s", nparams > 0 ? ")" : "",
					 forward_text_of_query(source->query_string,
										   source->raw_parse_tree->stmt_location,
										   source->raw_parse_tree->stmt_len).sql);
	run_command(statement, sql.data);
	statement->in_transaction = true;
	statement->text = forward_text_execute(statement->text, name);
	return name;
}

/* It was executed. */
void
forward_execute_deallocate(const ForwardStatement *statement, const char *name)
{
	run_command(statement, psprintf("DEALLOCATE %s", name));
}

/* In the transaction that the statement is part of. */
static void
run_command(const ForwardStatement *statement, const char *sql)
{
	ForwardStatement *command = palloc0(sizeof(ForwardStatement));

	command->text.sql = pstrdup(sql);
	command->declaration = statement->declaration;
	command->writes = true;
	command->in_transaction = true;
	forward_statement_run(command);
}
