/*-------------------------------------------------------------------------
 *
 * owner_transaction.c
 *	  The parts of a transaction that run at owners of rows.
 *
 * As with postgres_fdw: a transaction is begun at a member with the first row
 * that goes there, subtransactions are savepoints, and it is committed there
 * just before it is committed here.  What that promises:
 *
 *	- An error before that, here or there, undoes all of it everywhere.
 *	- If it can't be committed at a member, it is not committed here, nor at the
 *	  members whose turn would have come later.  Those whose turn was earlier
 *	  have committed; the error says which.
 *	- What fails here after that (the check for serializable transactions, a
 *	  crash) undoes what was done here only.
 *	- If the answer to COMMIT is lost, nobody here knows the outcome there.
 *	  The transaction fails here, with SQLSTATE 08007 and a ticket by which the
 *	  member can be asked for it.
 *
 * There are no two phases: who is gone in the middle of them would leave locks
 * that nobody releases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"

#include "converge/owner_transaction.h"
#include "exec/node_connection.h"
#include "remote/connection.h"
#include "remote/remote_error.h"

/* how often to look whether a client has lost patience, milliseconds */
#define WAIT_MS 1000

/* how long it may take to pass a cancel on, milliseconds */
#define CANCEL_LIMIT_MS 2000

/* how long the answer to COMMIT is awaited after a cancel, milliseconds */
#define COMMIT_CANCEL_LIMIT_MS 10000

/*
 * How a transaction begins there.  Texts mean the same at both ends (row_text.c).  A row that
 * isn't the member's, as it says, isn't sent on; nor are writes of a replica.
 * A commit that is done is no error, however many have confirmed it.
 */
#define BEGIN_SQL \
	"START TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE;" \
	" SET LOCAL search_path = pg_catalog; SET LOCAL client_encoding = '%s';" \
	" SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = postgres; SET LOCAL TimeZone = 'UTC';" \
	" SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex; SET LOCAL xmloption = content;" \
	" SET LOCAL lc_monetary = 'C';" \
	" SET LOCAL consistency.write_forwarding = off; SET LOCAL consistency.on_unconfirmed = warning"

typedef struct OwnerTransaction
{
	RemoteConnection *connection;
	char	   *member;
	int			levels;			/* begun there: the transaction and
								 * subtransactions */
	bool		running;		/* a statement is under way */
	bool		lost;			/* what was done there is, or will be */
} OwnerTransaction;

/* of the current transaction, in its memory */
static List *transactions = NIL;

static OwnerTransaction *get_transaction(Oid serverid, const char *member);
static void enter_levels(OwnerTransaction *transaction);
static PGresult *run(OwnerTransaction *transaction, const char *sql, int nvalues,
					 const char **values);
static bool wait_for_result(OwnerTransaction *transaction, bool commits, RemoteError *error);
static void raise_error(OwnerTransaction *transaction, const RemoteError *error,
						const char *committed) pg_attribute_noreturn();
static void track_transaction(XactEvent event, void *arg);
static void track_subtransaction(SubXactEvent event, SubTransactionId subid,
								 SubTransactionId parent, void *arg);
static void refuse_to_prepare(void);
static void commit_all(void);
static void commit(OwnerTransaction *transaction, const char *committed);
static char *get_ticket(OwnerTransaction *transaction);
static PGresult *read_outcome(OwnerTransaction *transaction, RemoteError *error);
static void error_unknown(const OwnerTransaction *transaction, const char *ticket,
						  const char *committed) pg_attribute_noreturn();
static void roll_back_all(void);
static void roll_back_level(OwnerTransaction *transaction, int level);

/* Follow transactions. */
void
owner_transaction_init(void)
{
	RegisterXactCallback(track_transaction, NULL);
	RegisterSubXactCallback(track_subtransaction, NULL);
}

/*
 * owner_transaction_run
 *		Run a statement at a member, as part of the current transaction; how many
 *		rows it has changed there.
 *
 * It goes by the current role's user mapping, with no rights but those that this
 * one has there.
 */
uint64
owner_transaction_run(Oid serverid, const char *member, const OwnerStatement *statement)
{
	OwnerTransaction *transaction = get_transaction(serverid, member);
	PGresult   *result;
	uint64		rows;

	enter_levels(transaction);
	result = run(transaction, statement->sql, statement->nvalues, statement->values);
	rows = strtoull(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return rows;
}

/* The part that runs at a member by the current role's mapping; begun if need be. */
static OwnerTransaction *
get_transaction(Oid serverid, const char *member)
{
	Oid			userid = node_connection_user(serverid);
	OwnerTransaction *transaction;
	RemoteConnection *connection;
	RemoteError error = {0};
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, transactions)
	{
		transaction = lfirst(cell);
		if (transaction->connection && transaction->connection->key.serverid == serverid &&
			transaction->connection->key.userid == userid)
			return transaction;
	}

	connection = connection_find(serverid, userid);
	if (connection == NULL)
		connection = node_connection_open(serverid, &error);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("could not connect to member \"%s\"", member),
				 errdetail_internal("%s", error.message),
				 error.hint ? errhint("%s", error.hint) :
				 errhint("Try again when it can be reached, or write at that member.")));
	old = MemoryContextSwitchTo(TopTransactionContext);
	transaction = palloc0(sizeof(OwnerTransaction));
	transaction->connection = connection;
	transaction->member = pstrdup(member);
	transactions = lappend(transactions, transaction);
	MemoryContextSwitchTo(old);
	return transaction;
}

/* Begin there what has begun here. */
static void
enter_levels(OwnerTransaction *transaction)
{
	StringInfoData sql;

	if (transaction->lost)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the connection to member \"%s\" was lost", transaction->member),
				 errhint("Retry the transaction.")));
	if (transaction->levels == 0)
	{
		char	   *begin = psprintf(BEGIN_SQL, pg_encoding_to_char(GetDatabaseEncoding()));

		if (LockTimeout > 0)
			begin = psprintf("%s; SET LOCAL lock_timeout = %d", begin, LockTimeout);
		(void) PQexitPipelineMode(transaction->connection->conn);
		PQclear(run(transaction, begin, -1, NULL));
		transaction->levels = 1;
	}
	if (transaction->levels >= GetCurrentTransactionNestLevel())
		return;
	initStringInfo(&sql);
	for (int level = transaction->levels + 1; level <= GetCurrentTransactionNestLevel(); level++)
		appendStringInfo(&sql, "SAVEPOINT s%d;", level);
	PQclear(run(transaction, sql.data, -1, NULL));
	transaction->levels = GetCurrentTransactionNestLevel();
}

/*
 * run
 *		Run a statement with values, or several without (nvalues -1), and return
 *		the last result; an error is raised.
 */
static PGresult *
run(OwnerTransaction *transaction, const char *sql, int nvalues, const char **values)
{
	PGconn	   *conn = transaction->connection->conn;
	PGresult   *last = NULL;
	PGresult   *result;
	RemoteError error = {0};
	bool		sent;

	transaction->running = true;
	sent = nvalues < 0 ? PQsendQuery(conn, sql) :
		PQsendQueryParams(conn, sql, nvalues, NULL, values, NULL, NULL, 0);
	if (!sent)
	{
		remote_error_from_connection(&error, conn);
		raise_error(transaction, &error, "");
	}
	for (;;)
	{
		/* a cancel leaves it running, for the rollback to end it */
		if (!wait_for_result(transaction, false, &error))
		{
			PQclear(last);
			raise_error(transaction, &error, "");
		}
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		if (error.sqlstate == 0 && PQresultStatus(result) != PGRES_COMMAND_OK &&
			PQresultStatus(result) != PGRES_TUPLES_OK)
			remote_error_from_setup(&error, result, conn);
		PQclear(last);
		last = result;
	}
	transaction->running = false;
	if (error.sqlstate != 0)
	{
		PQclear(last);
		raise_error(transaction, &error, "");
	}
	Assert(last != NULL);
	return last;
}

/*
 * Wait until PQgetResult() doesn't block.  False, with *error, if the connection
 * is broken.  A commit's answer is awaited even when the client would rather not,
 * for a while.
 */
static bool
wait_for_result(OwnerTransaction *transaction, bool commits, RemoteError *error)
{
	PGconn	   *conn = transaction->connection->conn;
	TimestampTz give_up_at = 0;
	int			unsent;

	while ((unsent = PQflush(conn)) > 0 || PQisBusy(conn))
	{
		(void) connection_wait(transaction->connection, WL_SOCKET_READABLE |
							   (unsent > 0 ? WL_SOCKET_WRITEABLE : 0), WAIT_MS);
		if (!PQconsumeInput(conn))
		{
			remote_error_from_connection(error, conn);
			return false;
		}
		if (!commits || !QueryCancelPending)
			continue;
		if (give_up_at == 0)
			give_up_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), COMMIT_CANCEL_LIMIT_MS);
		else if (GetCurrentTimestamp() >= give_up_at)
			return false;
	}
	return true;
}

/* Raise an error of a member; "committed" as below. */
static void
raise_error(OwnerTransaction *transaction, const RemoteError *error, const char *committed)
{
	if (!error->from_server || error->fatal)
		transaction->lost = true;
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext("%s", error->context) : 0,
			 errcontext("write forwarded to member \"%s\"", transaction->member),
			 committed[0] ? errcontext("after the commit at %s", committed) : 0));
}

static void
track_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			commit_all();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_to_prepare();
			break;
		case XACT_EVENT_ABORT:
			roll_back_all();
			break;
		default:
			break;
	}
}

static void
track_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					 void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *cell;

	foreach(cell, transactions)
	{
		OwnerTransaction *transaction = lfirst(cell);

		if (transaction->levels < level)
			continue;
		if (event == SUBXACT_EVENT_PRE_COMMIT_SUB && !transaction->lost)
		{
			PQclear(run(transaction, psprintf("RELEASE SAVEPOINT s%d", level), -1, NULL));
			transaction->levels = level - 1;
		}
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			roll_back_level(transaction, level);
	}
}

/* Who prepares may be gone when the outcome is decided. */
static void
refuse_to_prepare(void)
{
	if (transactions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot prepare a transaction that has written at other members"),
				 errhint("Use COMMIT, or write rows of other members in a transaction of their own.")));
}

/* Commit it everywhere, ahead of the commit here. */
static void
commit_all(void)
{
	StringInfoData committed;
	ListCell   *cell;

	if (transactions == NIL)
		return;
	initStringInfo(&committed);
	foreach(cell, transactions)
	{
		OwnerTransaction *transaction = lfirst(cell);

		commit(transaction, committed.data);
		appendStringInfo(&committed, "%s\"%s\"", committed.len > 0 ? ", " : "",
						 transaction->member);
	}
	transactions = NIL;
}

/* Commit it at a member; "committed" names those where it is committed already. */
static void
commit(OwnerTransaction *transaction, const char *committed)
{
	PGconn	   *conn = transaction->connection->conn;
	RemoteError error = {0};
	PGresult   *result;
	char	   *ticket;

	if (transaction->lost || !connection_is_open(transaction->connection))
	{
		remote_error_set(&error, ERRCODE_CONNECTION_FAILURE, "the connection was lost");
		error.hint = "Retry the transaction.";
		raise_error(transaction, &error, committed);
	}
	ticket = get_ticket(transaction);
	transaction->running = true;
	if (!PQsendQuery(conn, "COMMIT"))
	{
		remote_error_from_connection(&error, conn);
		raise_error(transaction, &error, committed);
	}

	/* From here on it may be committed, whether or not an answer comes. */
	result = read_outcome(transaction, &error);
	if (result == NULL || error.fatal)
	{
		PQclear(result);
		transaction->lost = true;
		error_unknown(transaction, ticket, committed);
	}
	transaction->running = false;
	if (error.sqlstate == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0)
		remote_error_set(&error, ERRCODE_TRANSACTION_ROLLBACK, "the transaction was rolled back");
	PQclear(result);
	if (error.sqlstate != 0)
	{
		error.from_server = true;
		raise_error(transaction, &error, committed);
	}
	connection_release(transaction->connection, true);
	transaction->connection = NULL;
}

/* The answer to COMMIT, with *error if it is one; NULL if none comes. */
static PGresult *
read_outcome(OwnerTransaction *transaction, RemoteError *error)
{
	PGconn	   *conn = transaction->connection->conn;
	PGresult   *outcome = NULL;
	PGresult   *result;
	bool		broken = false;

	HOLD_CANCEL_INTERRUPTS();
	while (!(broken = !wait_for_result(transaction, true, error)) &&
		   (result = PQgetResult(conn)) != NULL)
	{
		PQclear(outcome);
		outcome = result;
	}
	RESUME_CANCEL_INTERRUPTS();
	if (outcome && PQresultStatus(outcome) != PGRES_COMMAND_OK)
	{
		remote_error_from_setup(error, outcome, conn);
		broken |= !error->from_server;
	}
	if (!broken)
		return outcome;
	PQclear(outcome);
	return NULL;
}

/* By what the member can be asked for the outcome; NULL: it has written nothing. */
static char *
get_ticket(OwnerTransaction *transaction)
{
	PGresult   *result = run(transaction, "SELECT consistency.transaction_ticket()", 0, NULL);
	char	   *ticket = NULL;

	if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
		ticket = pstrdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return ticket;
}

static void
error_unknown(const OwnerTransaction *transaction, const char *ticket, const char *committed)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
			 errmsg("it is not known whether the transaction was committed at member \"%s\"",
					transaction->member),
			 errdetail("The connection was lost while the commit was under way. Here it is rolled back."),
			 ticket ? errhint("Ask that member with SELECT consistency.transaction_status('%s').", ticket) :
			 errhint("Look at the data there before you try again."),
			 committed[0] ? errcontext("after the commit at %s", committed) : 0));
}

/* Roll it back everywhere; by closing the connection, if there is no other way. */
static void
roll_back_all(void)
{
	ListCell   *cell;

	foreach(cell, transactions)
	{
		OwnerTransaction *transaction = lfirst(cell);
		RemoteConnection *connection = transaction->connection;
		bool		done = false;

		if (connection == NULL)
			continue;			/* committed */
		if (transaction->running)
			(void) connection_cancel(connection,
									 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
																 CANCEL_LIMIT_MS));
		else if (!transaction->lost)
			done = PQtransactionStatus(connection->conn) == PQTRANS_IDLE ||
				connection_run_now(connection, "ROLLBACK");
		transaction->connection = NULL;
		connection_release(connection, done);
	}
	transactions = NIL;
}

/* Roll a subtransaction back at a member. */
static void
roll_back_level(OwnerTransaction *transaction, int level)
{
	char		sql[128];

	snprintf(sql, sizeof(sql), "ROLLBACK TO SAVEPOINT s%d; RELEASE SAVEPOINT s%d", level, level);
	if (!transaction->lost &&
		(transaction->running || !connection_run_now(transaction->connection, sql)))
		transaction->lost = true;
	transaction->levels = level - 1;
}
