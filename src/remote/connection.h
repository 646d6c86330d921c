/*-------------------------------------------------------------------------
 *
 * connection.h
 *	  Connections of a backend to other nodes.
 *
 * A backend keeps one connection to each node for each user mapping that it
 * uses: mostly that of the session's user, over which the current role travels
 * as a setting (see node_connection.c).  Who runs a statement acquires it, and
 * hands it back when the last result was read; a connection handed back in the
 * middle of one is closed.  Closing is also how a statement is cancelled there:
 * the other side is told to look after its client
 * (client_connection_check_interval).  That can't hang.  Who wants to keep the
 * connection asks for a cancel, and for how long to try (cancel.c).
 *
 * Behind a pooler that hands out its sessions by the transaction, nothing lasts
 * longer than one.  Such a connection is "pooled": whatever is set over it is set
 * for the transaction, nothing is prepared, and what the other side knows is
 * forgotten when the transaction has ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CONNECTION_H
#define CONSISTENCY_CONNECTION_H

#include "libpq-fe.h"
#include "lib/stringinfo.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "core/position.h"
#include "remote/remote_error.h"

typedef struct RemoteConnectionKey
{
	Oid			serverid;		/* pg_foreign_server.oid */
	Oid			userid;			/* role whose user mapping it is */
} RemoteConnectionKey;

#define REMOTE_TOKEN_SIZE 64

typedef struct RemoteConnection
{
	RemoteConnectionKey key;	/* hash key, must be first */
	PGconn	   *conn;			/* NULL: not connected */
	WaitEventSet *wait_set;		/* our latch and the connection's socket */
	Oid			login;			/* role that it logged in as */
	bool		login_is_superuser; /* it was one then */
	bool		peer;			/* of another cluster: who logs in is for the
								 * mapping alone to say */
	int64		instance;		/* names the running server: node_status() */
	int			backend_pid;	/* of its session there */
	bool		in_recovery;	/* it is a replica; false never becomes true,
								 * as that takes a restart, unless a pooler
								 * hides that */
	bool		pooled;			/* each transaction may get another session
								 * there: a pooler is in between */
	bool		pinned;			/* its session there holds what must not go:
								 * it is closed neither for being idle nor for
								 * being stale.  Set it ahead of the statement
								 * that makes it so */
	uint64		node;			/* hash of the node's address */
	int			place;			/* connection_limit.c */
	bool		busy;			/* acquired */
	bool		stale;			/* server or mapping changed: connect anew */
	TimestampTz closes_at;		/* when the node closes it, if it isn't used
								 * before; 0: never */
	TimestampTz retry_at;		/* connecting failed: not again before then */
	uint32		server_hash;	/* syscache hash values, to know when it
								 * becomes stale */
	uint32		mapping_hash;
	StringInfoData settings;	/* what it has there: name, 0, value, 0, ...;
								 * empty: nothing is known */
	StringInfoData setting_names;	/* whatever was sent, be it reset since:
									 * name, 0, ... */
	StringInfoData restricted_settings; /* of what it has, those that not
										 * everybody may set: name, 0, ... */
	StringInfoData login_settings;	/* what its login has by default there:
									 * name, 0, ... */
	uint64		settings_fingerprint;	/* hash of what these were made from */
	uint64		answers_fingerprint;	/* hash of those that change what a
										 * query means */
	StringInfoData settings_report; /* what it last told of its settings */
	bool		settings_sent;	/* others were sent since */
	bool		ended;			/* the other side's session has said goodbye */
	bool		stale_answer;	/* the node warned that it answers stale */
	Position	position;		/* the highest that the other side's session
								 * knows of */
	char		token[REMOTE_TOKEN_SIZE];	/* what it said when asked how far
											 * it has seen, behind a pooler;
											 * '' */
	HTAB	   *statements;		/* prepared there, by text: remote_prepared.c */
	uint64		statements_as_of;	/* which changes of tables they know of */
	uint32		next_statement; /* for their names */
	bool		has_ticket;		/* what asks for tickets is prepared there */
} RemoteConnection;

/* How to connect, when there is no connection yet */
typedef struct RemoteConnectionTarget
{
	Oid			umid;			/* pg_user_mapping.oid */
	const char **keywords;		/* libpq's, NULL ended */
	const char **values;
	bool		password_required;	/* fail unless the server asked for a
									 * password */
	bool		peer;			/* of another cluster, with roles of its own */
	uint64		node;			/* hash of the node's address */
	TimestampTz place_deadline; /* until when to wait if there are
								 * consistency.connection_limit connections to
								 * the node; 0: not at all */
} RemoteConnectionTarget;

extern bool connection_is_backing_off(Oid serverid, Oid userid);
extern void connection_back_off(Oid serverid, Oid userid);
extern RemoteConnection *connection_find(Oid serverid, Oid userid);
extern RemoteConnection *connection_open(Oid serverid, Oid userid,
										 const RemoteConnectionTarget *target,
										 RemoteError *error);
extern bool connection_is_open(RemoteConnection *connection);
extern void connection_release(RemoteConnection *connection, bool reusable);
extern int	connection_idle_timeout(const RemoteConnection *connection);
extern void connection_transaction_ended(RemoteConnection *connection);
extern void connection_discard_all(void);
extern bool connection_run_now(RemoteConnection *connection, const char *sql);
extern bool connection_wait(RemoteConnection *connection, int socket_events, long timeout_ms);

/* cancel.c */
extern bool connection_cancel(RemoteConnection *connection, TimestampTz deadline);

#endif							/* CONSISTENCY_CONNECTION_H */
