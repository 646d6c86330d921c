/*-------------------------------------------------------------------------
 *
 * member_command.c
 *	  Commands that a member runs for its group, and shows to who has asked.
 *
 * CREATE SUBSCRIPTION takes a password within its text, and texts are logged,
 * shown in views and kept in statistics.  So what is parsed is a text without it,
 * and the real one is put into the parsed statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "group/group.h"

#define DONE "done"
#define WOULD_RUN "would run"

static void run_utility(const char *text, const char *conninfo, ProcessUtilityContext context);
static void put_conninfo(Node *statement, const char *conninfo);

/* The calling function returns what is shown. */
void
member_commands_begin(MemberCommands *commands, FunctionCallInfo fcinfo, const char *member,
					  bool dry_run)
{
	InitMaterializedSRF(fcinfo, 0);
	commands->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	commands->member = member;
	commands->dry_run = dry_run;
}

/* Run a command here. */
void
member_command_run(const MemberCommands *commands, const char *command)
{
	if (!commands->dry_run)
	{
		SPI_connect();
		if (SPI_execute(command, false, 0) < 0)
			elog(ERROR, "could not run \"%s\"", command);
		SPI_finish();
	}
	member_command_show(commands, commands->member, command, commands->dry_run ? WOULD_RUN : DONE);
}

/* One whose connection is the given one; the text has another one in its place. */
void
member_command_run_secret(const MemberCommands *commands, const char *redacted,
						  const char *conninfo)
{
	if (!commands->dry_run)
		run_utility(redacted, conninfo, PROCESS_UTILITY_QUERY);
	member_command_show(commands, commands->member, redacted,
						commands->dry_run ? WOULD_RUN : DONE);
}

/*
 * One that must be a transaction's only command.  It is, as far as that matters:
 * an error behind it can't be, and PostgreSQL checks that there is no block
 * around.
 */
void
member_command_run_alone(const MemberCommands *commands, const char *command)
{
	if (!commands->dry_run)
		run_utility(command, NULL, PROCESS_UTILITY_TOPLEVEL);
	member_command_show(commands, commands->member, command, commands->dry_run ? WOULD_RUN : DONE);
}

/* One at a peer, over our connection; returns its rows. */
List *
member_command_at_peer(const MemberCommands *commands, Oid serverid, const char *peer,
					   const char *command)
{
	List	   *rows = NIL;

	if (!commands->dry_run)
		rows = peer_select(serverid, peer, command);
	member_command_show(commands, peer, command, commands->dry_run ? WOULD_RUN : DONE);
	return rows;
}

void
member_command_show(const MemberCommands *commands, const char *member, const char *command,
					const char *result)
{
	Datum		values[3];
	bool		nulls[3] = {false, command == NULL, false};

	values[0] = CStringGetTextDatum(member);
	values[1] = command ? CStringGetTextDatum(command) : (Datum) 0;
	values[2] = CStringGetTextDatum(result);
	tuplestore_putvalues(commands->rsinfo->setResult, commands->rsinfo->setDesc, values, nulls);
}

static void
run_utility(const char *text, const char *conninfo, ProcessUtilityContext context)
{
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(text, RAW_PARSE_DEFAULT));
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = raw->stmt;
	planned->stmt_location = raw->stmt_location;
	planned->stmt_len = raw->stmt_len;
	if (conninfo)
		put_conninfo(raw->stmt, conninfo);
	ProcessUtility(planned, text, false, context, NULL, NULL, None_Receiver, NULL);
	CommandCounterIncrement();
}

static void
put_conninfo(Node *statement, const char *conninfo)
{
	if (IsA(statement, CreateSubscriptionStmt))
		((CreateSubscriptionStmt *) statement)->conninfo = pstrdup(conninfo);
	else
		castNode(AlterSubscriptionStmt, statement)->conninfo = pstrdup(conninfo);
}
