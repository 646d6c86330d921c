/*-------------------------------------------------------------------------
 *
 * forward_transaction.c
 *	  The part of the client's transaction that runs at the primary.
 *
 * It is begun with the first statement that goes there, in the same round trip,
 * and from then on all of the transaction runs there.  Subtransactions of the
 * client's are savepoints over there, made when the first statement in them is
 * sent.  The transaction is committed there before it is committed here, where
 * there is nothing to commit; if that fails, it fails here.
 *
 * What the outcome of a commit was isn't known if the connection breaks while it
 * is under way.  The client is told so, and is given a ticket by which to ask
 * for the outcome (consistency.transaction_status).
 *
 * A statement that is a transaction of its own needs none of this: it is
 * committed with its round trip.  When a client means a statement to be one
 * shows only from what it sends next: see forward_transaction_scope().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "core/compat.h"
#include "core/guc.h"
#include "core/wait_event.h"
#include "exec/client_transaction.h"
#include "exec/forward_hold.h"
#include "exec/forward_own_lock.h"
#include "exec/forward_release.h"
#include "exec/forward_transaction.h"
#include "exec/level_text.h"
#include "exec/nesting.h"
#include "exec/node_connection.h"
#include "exec/replay_wait.h"
#include "remote/connect.h"
#include "session/declaration.h"

typedef struct ForwardTransaction
{
	RemoteConnection *connection;	/* NULL: nothing runs there */
	Route		route;			/* how it came there; valid with "connection" */
	int			levels;			/* begun there: the transaction and
								 * subtransactions of the client's */
	bool		running;		/* a statement is under way */
	bool		lost;			/* the connection broke */
	List	   *queue;			/* commands to go ahead of the next statement
								 * (LevelText *) */
	List	   *cursors;		/* names of those that are open there, quoted
								 * (LevelText *) */
} ForwardTransaction;

static ForwardTransaction current;

/* It changed catalogs. */
static bool changes_catalogs = false;

/* where replay has to be ahead of the client's next statement */
static Position needed_next;
static bool needed_for_catalogs;	/* is that why? */

/* It is committed there: nothing may fail here any more. */
static bool cancel_held = false;

static bool client_sends_sync(void);
static void track_transaction(XactEvent event, void *arg);
static void track_subtransaction(SubXactEvent event, SubTransactionId subid,
								 SubTransactionId parent, void *arg);
static void release_resources(ResourceReleasePhase phase, bool isCommit, bool isTopLevel,
							  void *arg);
static void warn_catalogs_are_old(const char *why);
static void commit(void);
static void raise_commit_failure(RemoteQuery *query);
static bool node_is_gone(void *arg);
static void roll_back(void);
static void roll_back_level(int level);
static void lose(void);
static void forget(void);
static void error_lost(void) pg_attribute_noreturn();

/* Follow transactions. */
void
forward_transaction_init(void)
{
	RegisterXactCallback(track_transaction, NULL);
	RegisterSubXactCallback(track_subtransaction, NULL);
	RegisterResourceReleaseCallback(release_resources, NULL);
}

/* Does the client's transaction run at the primary from now on? */
bool
forward_transaction_is_open(void)
{
	return current.connection != NULL || current.lost || client_transaction_is_whole();
}

/*
 * forward_transaction_scope
 *		Is the statement that the client is running a transaction of its own?
 *
 * By the extended protocol a transaction ends with a Sync message.  If that has
 * come already, nothing else will be part of it; nor does that matter if the
 * statement commits what it does by itself.
 */
ForwardScope
forward_transaction_scope(bool commits_itself)
{
	if (forward_transaction_is_open() || IsTransactionBlock() ||
		client_transaction_isolation() > XACT_READ_COMMITTED ||
		(MyXactFlags & XACT_FLAGS_PIPELINING) != 0)
		return FORWARD_IN_TRANSACTION;
	return commits_itself || nesting_is_simple_query() || client_sends_sync() ?
		FORWARD_ALONE : FORWARD_IN_TRANSACTION;
}

/* Is a Sync the next thing that the client has sent, as far as that has come? */
static bool
client_sends_sync(void)
{
	int			next;

	if (whereToSendOutput != DestRemote || !COMPAT_CLIENT_BUFFER_HAS_DATA())
		return false;
	pq_startmsgread();
	next = pq_peekbyte();
	pq_endmsgread();
	return next == 'S';
}

/* How the transaction came to the primary; NULL: it is not there yet. */
const Route *
forward_transaction_route(void)
{
	if (current.lost)
		error_lost();
	forward_transaction_check_promotion();
	return current.connection ? &current.route : NULL;
}

/*
 * forward_transaction_begin
 *		The transaction goes on at the primary, over this connection, which is its
 *		own from now on.
 */
void
forward_transaction_begin(const Route *route, RemoteConnection *connection)
{
	current.connection = connection;
	current.route = *route;
	current.route.node_name = MemoryContextStrdup(TopTransactionContext, route->node_name);
	current.levels = 0;
	forward_own_lock_watch();
}

/*
 * forward_transaction_enter
 *		A statement is about to be sent as part of it, over this connection.
 *
 * The role may be another one since the transaction came there.
 */
RemoteConnection *
forward_transaction_enter(void)
{
	if (!connect_login_serves(current.connection->login, current.connection->login_is_superuser))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the transaction at the primary cannot go on as role \"%s\"",
						GetUserNameFromId(GetUserId(), false)),
				 errdetail("The login that it was begun with may not serve this role."),
				 errhint("Set the role ahead of the transaction.")));
	current.running = true;
	return current.connection;
}

/*
 * forward_transaction_commands
 *		What has to go ahead of the statement that was entered (char *).
 */
List *
forward_transaction_commands(void)
{
	List	   *commands = NIL;
	ListCell   *cell;

	foreach(cell, current.queue)
		commands = lappend(commands, ((LevelText *) lfirst(cell))->text);
	current.queue = NIL;
	if (current.levels == 0)
	{
		commands = lappend(commands, client_transaction_begin_sql());
		current.levels = 1;
	}
	while (current.levels < GetCurrentTransactionNestLevel())
		commands = lappend(commands, psprintf("SAVEPOINT s%d", ++current.levels));
	return commands;
}

/*
 * A statement of it is over, be it with an error.  That may show only after the
 * transaction's end, when the memory of the statement goes.
 */
void
forward_transaction_leave(const RemoteQuery *query)
{
	if (!current.running)
		return;					/* it was cleaned up after with the
								 * transaction */
	current.running = false;
	if (!query->finished)
		lose();
}

/* A cursor is open there, made by the current subtransaction. */
void
forward_transaction_opened(const char *cursor)
{
	level_text_add(&current.cursors, cursor, GetCurrentTransactionNestLevel());
}

/*
 * forward_transaction_closed
 *		The client has no use for a cursor any more: close it ahead of the next
 *		statement, if there is one.
 */
void
forward_transaction_closed(const char *cursor)
{
	ListCell   *cell;

	if (current.connection == NULL)
		return;
	foreach(cell, current.cursors)
	{
		LevelText  *open = lfirst(cell);

		if (strcmp(open->text, cursor) == 0)
		{
			level_text_add(&current.queue, psprintf("CLOSE %s", cursor), open->level);
			current.cursors = foreach_delete_current(current.cursors, cell);
			return;
		}
	}
}

/* What runs there changes catalogs: the next statement here must know of it. */
void
forward_transaction_changes_catalogs(void)
{
	changes_catalogs = true;
}

/* Has it, perhaps, while nobody else sees that yet? */
bool
forward_transaction_has_changed_catalogs(void)
{
	return changes_catalogs && forward_transaction_is_open();
}

/*
 * forward_transaction_committed
 *		It, or a statement that is a transaction of its own, is committed there:
 *		up to the end of the client's transaction nothing must fail here.
 */
void
forward_transaction_committed(RemoteConnection *connection)
{
	Declaration declaration;

	node_connection_read_token(connection);
	if (!cancel_held)
		HOLD_CANCEL_INTERRUPTS();
	cancel_held = true;

	declaration_of_settings(&declaration);
	if ((changes_catalogs || DefaultXactIsoLevel > XACT_READ_COMMITTED) && declaration.own_context)
	{
		needed_next = connection->position;
		needed_for_catalogs = changes_catalogs;
	}
}

/*
 * forward_transaction_error_unknown
 *		The connection broke while a commit was under way.
 */
void
forward_transaction_error_unknown(const char *node, const char *ticket)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
			 errmsg("it is not known whether the transaction was committed"),
			 errdetail("The connection to node \"%s\" was lost while the commit was under way.", node),
			 ticket ? errhint("When a primary is up, ask it with SELECT consistency.transaction_status('%s').", ticket) :
			 errhint("Look at the data before you try again.")));
}

/*
 * forward_transaction_check_promotion
 *		A transaction that runs at the primary can't go on when this server has
 *		become the primary.
 */
void
forward_transaction_check_promotion(void)
{
	if (forward_transaction_is_open() && !RecoveryInProgress())
		forward_transaction_error_promoted();
}

void
forward_transaction_error_promoted(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("this server was promoted in the meantime"),
			 errhint("Retry the transaction: this server can run it now.")));
}

static void
track_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (current.connection != NULL || current.lost)
				commit();
			break;
		case XACT_EVENT_ABORT:
			roll_back();
			forward_hold_drop();
			/* FALLTHROUGH */
		case XACT_EVENT_COMMIT:
			forget();
			client_transaction_end(event);
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

	if (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB)
		client_transaction_end_level(level);
	if (event == SUBXACT_EVENT_ABORT_SUB && current.connection)
		forward_own_lock_watch();
	if (current.connection == NULL || current.levels < level)
		return;
	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
	{
		char		sql[64];

		snprintf(sql, sizeof(sql), "RELEASE SAVEPOINT s%d", level);
		level_text_add(&current.queue, sql, level);
		level_text_raise(current.queue, level);
		level_text_raise(current.cursors, level);
		current.levels = level - 1;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		roll_back_level(level);
}

/*
 * Wait for replay to reach a change of catalogs that this transaction has made,
 * so that the next statement is parsed against them.  Or any change, where the
 * snapshot that the next one is parsed with will be the only one that it gets:
 * it is too late to wait then.  Not before the locks are gone: replay may need
 * them.  If that takes too long, or longer than the client likes, the next one has
 * to do without.
 */
static void
release_resources(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	Position	position = needed_next;

	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !isTopLevel || !position_is_set(position))
		return;
	needed_next = POSITION_NONE;
	switch (replay_wait(position,
						TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_wait_timeout), NULL))
	{
		case REPLAY_TIMED_OUT:
			warn_catalogs_are_old("This replica has not replayed it in time.");
			break;
		case REPLAY_CANCELED:
			QueryCancelPending = false;
			warn_catalogs_are_old("The wait for this replica to replay it was canceled.");
			break;
		default:
			break;
	}
}

/* The transaction is committed: there is no going back. */
static void
warn_catalogs_are_old(const char *why)
{
	if (!needed_for_catalogs)
		return;					/* the next statement tells, if it needs it */
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("what the transaction has defined may be unknown here for a while"),
			 errdetail("It is committed. %s", why)));
}

/* Commit it there, ahead of the commit here. */
static void
commit(void)
{
	RemoteQuery query = {
		.connection = current.connection,
		.promise = current.route.promise,
		.guarded = true,
		.abandon = node_is_gone,
	};
	RemoteQueryText text = {.sql = REMOTE_QUERY_TICKET_SQL,.commit = true};
	RemoteRow	row;

	/* What is known to be lost before it is sent is not an unknown outcome. */
	if (current.connection && !connection_is_open(current.connection))
		lose();
	if (current.lost)
		error_lost();
	if (!RecoveryInProgress())
		forward_transaction_error_promoted();

	current.running = true;
	if (remote_query_send(&query, &text, POSITION_NONE, NULL) &&
		forward_release_commit() &&
		remote_query_next_row(&query, &row))
	{
		if (!PQgetisnull(row.result, 0, 0))
			query.ticket = pstrdup(PQgetvalue(row.result, 0, 0));
		remote_row_free(&row);
		(void) remote_query_next_row(&query, &row);
	}
	if (query.error.sqlstate != 0)
		raise_commit_failure(&query);

	current.connection = NULL;
	remote_settings_return(query.connection, REMOTE_SETTINGS_COMMITTED);
	forward_transaction_committed(query.connection);
	connection_release(query.connection, true);
}

/* The commit failed, or nobody knows. */
static void
raise_commit_failure(RemoteQuery *query)
{
	bool		known = query->error.from_server && !query->error.fatal;

	if (known)
		remote_query_recover(query);
	else
		node_state_saw_error(current.route.node.slot, current.route.node.generation,
							 query->error.message);
	current.connection = NULL;
	if (query->finished)
		remote_settings_return(query->connection, REMOTE_SETTINGS_UNDONE);

	/* Not if it was the question for the ticket that failed. */
	connection_release(query->connection, query->finished &&
					   PQtransactionStatus(query->connection->conn) == PQTRANS_IDLE);
	if (!known && query->sent)
		forward_transaction_error_unknown(current.route.node_name, query->ticket);
	remote_error_raise_own(&query->error, NULL, 0);
}

/* Has the monitor lost the node while we wait for it, or was it replaced by us? */
static bool
node_is_gone(void *arg)
{
	return !RecoveryInProgress() || node_state_is_down(current.route.node.slot, current.route.node.generation);
}

/* Roll it back there; by closing the connection, if there is no other way. */
static void
roll_back(void)
{
	RemoteConnection *connection = current.connection;
	bool		done;

	if (connection == NULL)
		return;
	if (current.running)
		done = false;
	else
		done = PQtransactionStatus(connection->conn) == PQTRANS_IDLE ||
			connection_run_now(connection, "ROLLBACK");
	if (done)
	{
		node_connection_read_token(connection);
		remote_settings_return(connection, REMOTE_SETTINGS_UNDONE);
	}
	connection_release(connection, done);
}

/* Roll a subtransaction back there. */
static void
roll_back_level(int level)
{
	char		sql[128];

	snprintf(sql, sizeof(sql), "ROLLBACK TO SAVEPOINT s%d; RELEASE SAVEPOINT s%d", level, level);
	level_text_drop(&current.queue, level);
	level_text_drop(&current.cursors, level);
	if (current.running || !connection_run_now(current.connection, sql))
		lose();
	else
		remote_settings_return(current.connection, REMOTE_SETTINGS_UNDONE);
	current.levels = level - 1;
}

/* The connection broke, and with it all that was done there. */
static void
lose(void)
{
	if (current.connection)
		connection_release(current.connection, false);
	current.connection = NULL;
	current.lost = true;
}

/* The client's transaction is over. */
static void
forget(void)
{
	/* Mostly nothing went there, and this is done for every transaction. */
	if (current.route.node_name != NULL || current.lost)
	{
		memset(&current, 0, sizeof(current));
		forward_own_lock_forget();
	}
	changes_catalogs = false;
	nesting_executions = 0;
	forward_hold_forget();
	if (cancel_held && QueryCancelHoldoffCount > 0)
		RESUME_CANCEL_INTERRUPTS();
	cancel_held = false;
}

static void
error_lost(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the part of this transaction that ran at the primary is lost"),
			 errdetail("The connection to the primary broke."),
			 errhint("Roll the transaction back, and try it again.")));
}
