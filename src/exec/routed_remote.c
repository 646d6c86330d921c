/*-------------------------------------------------------------------------
 *
 * routed_remote.c
 *	  The remote side of a routed scan.
 *
 * Holds a connection from the start of a query until its last row was read.
 * It belongs to a memory context, and whatever way that goes (the end of the
 * scan, an error, a cursor that is dropped), the connection is handed back.
 *
 * What the session has seen at the node is known exactly from the answer's
 * token, which comes behind the last row.  If that doesn't come, the position
 * that this primary has flushed by then is taken for it: no replica can have
 * shown more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "exec/node_connection.h"
#include "exec/routed_remote.h"
#include "node/node_state.h"
#include "remote/remote_row.h"
#include "session/commit_position.h"
#include "session/session.h"
#include "session/token.h"

struct RoutedRemote
{
	NodeInfo	node;			/* where we read */
	RemoteQuery query;
	RemoteRowReader *reader;
	RemoteRow	row;			/* being read; freed with the scan on error */
	bool		has_answer;		/* the first row has come, or the end */
	bool		token_read;		/* and it is known what they showed */
	bool		open;			/* the connection is ours */
	bool		keeps_context;	/* it had to show all that the session knows */
	bool		stale;			/* the node warned that it answers stale */
	Position	position;		/* what the rows show at least; none: unknown */
	MemoryContext row_context;	/* values of the current row */
	MemoryContextCallback on_reset;
};

static bool node_is_gone(void *arg);
static void read_token(RoutedRemote *remote);
static void release(void *arg);

/*
 * routed_remote_start
 *		Send a query to a node.  NULL and *error when that fails.
 *
 * The result lives in the current memory context.
 */
RoutedRemote *
routed_remote_start(const Route *route, const char *sql, const ParamExternData *params,
					int nparams, TupleDesc tupdesc, bool many_rows, RemoteError *error)
{
	RoutedRemote *remote = palloc0(sizeof(RoutedRemote));
	RemoteQueryText to_send = {0};
	Position	position = route->requirement.position;
	Token		known = {position, route->requirement.older_here};
	char		token[TOKEN_TEXT_SIZE];

	remote->node = route->node;
	remote->position = position;
	remote->keeps_context = route->declaration.own_context;
	remote->reader = remote_row_reader(tupdesc);
	remote->row_context = AllocSetContextCreate(CurrentMemoryContext, "consistency routed row",
												ALLOCSET_DEFAULT_SIZES);
	to_send.sql = pg_server_to_client(sql, strlen(sql));
	to_send.many_rows = many_rows;
	remote_row_format(remote->reader, &to_send);
	remote_row_params(params, nparams, &to_send);

	remote->query.connection = node_connection_acquire(route->node.serverid, error);
	if (remote->query.connection == NULL)
		return NULL;
	remote->open = true;
	remote->query.connection->stale_answer = false;
	remote->on_reset.func = release;
	remote->on_reset.arg = remote;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &remote->on_reset);
	node_state_begin_statement(remote->node.slot, remote->node.generation);

	remote->query.promise = route->promise;
	remote->query.abandon = node_is_gone;
	remote->query.abandon_arg = remote;
	if (!remote_query_send(&remote->query, &to_send, position,
						   token_format(known, GetSystemIdentifier(), token)))
	{
		*error = remote->query.error;
		release(remote);
		return NULL;
	}
	return remote;
}

/*
 * routed_remote_next
 *		Put the next row into the slot.  False at the end, and on failure with
 *		*error set.
 */
bool
routed_remote_next(RoutedRemote *remote, TupleTableSlot *slot, RemoteError *error)
{
	MemoryContext old;

	if (!remote_query_next_row(&remote->query, &remote->row))
	{
		*error = remote->query.error;
		if (error->sqlstate == 0)
		{
			/* That there are no more rows was seen as well. */
			remote->has_answer = true;
			read_token(remote);
		}
		release(remote);
		return false;
	}

	if (!remote->has_answer)
	{
		if (!remote_row_fits(remote->reader, remote->row.result ? remote->row.result :
							 remote->query.shape))
		{
			remote_error_set(error, ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION,
							 "node returns other columns");
			release(remote);
			return false;
		}
		remote->has_answer = true;
	}

	MemoryContextReset(remote->row_context);
	old = MemoryContextSwitchTo(remote->row_context);
	remote_row_read(remote->reader, &remote->row, slot);
	remote_row_free(&remote->row);
	MemoryContextSwitchTo(old);
	return true;
}

/* Has the node warned, so far, that its answer is older than promised? */
bool
routed_remote_is_stale(const RoutedRemote *remote)
{
	return remote->open ? remote->query.connection->stale_answer : remote->stale;
}

/* What is known of the position that the rows show, so far; none: nothing. */
Position
routed_remote_position(const RoutedRemote *remote)
{
	return routed_remote_is_stale(remote) ? POSITION_NONE : remote->position;
}

/* Done with it, whether or not everything was read. */
void
routed_remote_end(RoutedRemote *remote)
{
	release(remote);
}

/* Has the monitor lost the node while we wait for it? */
static bool
node_is_gone(void *arg)
{
	RoutedRemote *remote = arg;

	return node_state_is_down(remote->node.slot, remote->node.generation);
}

/* Everything was read: the token tells what the node had replayed by then. */
static void
read_token(RoutedRemote *remote)
{
	Position	known = remote->query.connection->position;
	Position	position;
	bool		news;

	if (!node_connection_read_token(remote->query.connection))
		return;
	position = remote->query.connection->position;
	news = position_before(known, position);
	remote->token_read = true;

	/*
	 * It knows of more than it has where it warned that it answers stale, and
	 * afterwards, as long as it needn't have what it was told then; and
	 * behind a pooler, where others have told it of positions.
	 */
	if (remote->query.connection->stale_answer || remote->query.connection->pooled ||
		!(remote->keeps_context || news))
		return;
	node_state_saw_position(remote->node.slot, remote->node.generation, position);
	remote->position = position;
}

/* Hand the connection back.  Must not raise errors. */
static void
release(void *arg)
{
	RoutedRemote *remote = arg;
	Token		seen = {POSITION_NONE, POSITION_NONE};

	if (!remote->open)
		return;
	remote->open = false;
	remote->stale = remote->query.connection->stale_answer;
	remote_row_free(&remote->row);
	PQclear(remote->query.shape);
	if (remote->has_answer && !remote->token_read)
	{
		seen.newest = commit_position_bound();
		session_observed_elsewhere(seen);
	}
	node_state_end_statement(remote->node.slot, remote->node.generation);
	connection_release(remote->query.connection, remote->query.finished);
}
