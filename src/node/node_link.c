/*-------------------------------------------------------------------------
 *
 * node_link.c
 *	  The monitor's connection to one node; only for the monitor.
 *
 * A state machine around libpq's asynchronous calls: the monitor waits for
 * all sockets at once and calls node_link_socket_ready() for those that are
 * ready, and node_link_run() when node_link_next() has come.  Nothing here
 * waits, so a node that hangs doesn't delay the others' heartbeats.  The one
 * exception is the look-up of a host name, which libpq does inside
 * PQconnectStartParams(): where name service may hang, use hostaddr.
 *
 * Whatever goes wrong ends in fail(): the node is marked down, and connected
 * anew after a while.  There is no other error path, least of all ereport().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/pg_prng.h"
#include "storage/fd.h"

#include "core/guc.h"
#include "node/node_link.h"

#define CONNECT_LIMIT_US	(5 * 1000000L)	/* unless connect_timeout says
											 * else */
#define MIN_ANSWER_LIMIT_US	1000000L
#define MAX_BACKOFF_US		(10 * 1000000L)
#define URGENT_US			250000L /* between attempts, while somebody waits */
#define MAX_OPTIONS			100 /* more than libpq has */

/*
 * Heartbeats must neither wait for a position nor be sent elsewhere.  The hint
 * says so, since poolers don't let the startup packet's options through.
 */
#define HEARTBEAT_QUERY \
	"/*consistency='weak'*/ " \
	"SELECT instance, system_identifier, in_recovery, timeline, \"position\", caught_up " \
	"FROM consistency.node_status()"

bool		node_link_sockets_changed = true;

static int64 interval_us(void);
static void set_wants(NodeLink *link, uint32 wants);
static void close_link(NodeLink *link);
static void log_state(const NodeLink *link, const char *state, const char *why);
static void fail(NodeLink *link, int64 now, const char *message);
static void connect_link(NodeLink *link, int64 now);
static PGconn *start_connection(const char *conninfo, int64 *limit_us);
static void go_on_connecting(NodeLink *link, int64 now);
static void connected(NodeLink *link, int64 now);
static void ask(NodeLink *link, int64 now);
static bool flush(NodeLink *link, int64 now);
static void read_answer(NodeLink *link, int64 now);
static const char *accept_answer(NodeLink *link, const PGresult *result);
static void ignore_notice(void *arg, const char *message);

/* Begin to watch the node that is in this slot now. */
void
node_link_start(NodeLink *link, int slot, uint32 generation)
{
	memset(link, 0, sizeof(*link));
	link->slot = slot;
	link->generation = generation;
	link->phase = LINK_CLOSED;
}

/* End watching. */
void
node_link_stop(NodeLink *link)
{
	close_link(link);
	link->phase = LINK_OFF;
}

/* When does node_link_run() have to be called next? */
int64
node_link_next(const NodeLink *link)
{
	switch (link->phase)
	{
		case LINK_OFF:
			break;
		case LINK_CLOSED:
			return link->urgent ? Min(link->due_us, link->closed_us + URGENT_US) : link->due_us;
		case LINK_CONNECTING:
		case LINK_ASKED:
			return link->deadline_us;
		case LINK_IDLE:
			return link->asked_us + (link->urgent ? Min(interval_us(), URGENT_US) : interval_us());
	}
	return PG_INT64_MAX;
}

/* Do what is due. */
void
node_link_run(NodeLink *link, int64 now)
{
	if (now < node_link_next(link))
		return;

	switch (link->phase)
	{
		case LINK_OFF:
			break;
		case LINK_CLOSED:
			connect_link(link, now);
			break;
		case LINK_CONNECTING:
			fail(link, now, "timeout expired while connecting");
			break;
		case LINK_IDLE:
			ask(link, now);
			break;
		case LINK_ASKED:
			fail(link, now, "no answer to the heartbeat in time");
			break;
	}
}

/* Is a node connected that was the primary in its last answer? */
bool
node_link_has_primary(const NodeLink *link)
{
	return link->role == NODE_PRIMARY &&
		(link->phase == LINK_IDLE || link->phase == LINK_ASKED);
}

/*
 * The node's answer to a heartbeat sent at wanted_us or later is wanted.  Ask, if that is possible now.  It isn't while the node
 * owes an answer (call again then), nor without a connection: each new one
 * begins with a heartbeat.  If somebody waits for it, try often.
 */
void
node_link_want(NodeLink *link, int64 wanted_us, bool waited_for)
{
	link->urgent = waited_for;
	if (link->phase == LINK_IDLE && link->asked_us < wanted_us)
		ask(link, node_clock_us());
}

/* The socket is ready for what we wanted. */
void
node_link_socket_ready(NodeLink *link, int64 now)
{
	if (link->conn == NULL)
		return;
	if (link->phase == LINK_CONNECTING)
	{
		go_on_connecting(link, now);
		return;
	}

	if (!PQconsumeInput(link->conn))
	{
		fail(link, now, PQerrorMessage(link->conn));
		return;
	}
	if ((link->wants & WL_SOCKET_WRITEABLE) && !flush(link, now))
		return;

	/* Parses what came, too: an idle node may say why it leaves. */
	if (!PQisBusy(link->conn) && link->phase == LINK_ASKED)
		read_answer(link, now);
}

static int64
interval_us(void)
{
	return guc_monitor_interval * INT64CONST(1000);
}

static void
set_wants(NodeLink *link, uint32 wants)
{
	if (link->wants != wants)
		node_link_sockets_changed = true;
	link->wants = wants;
}

static void
close_link(NodeLink *link)
{
	set_wants(link, 0);
	if (link->conn)
	{
		PQfinish(link->conn);
		ReleaseExternalFD();
		link->conn = NULL;
	}
}

/* Tell the server's log that a node came or went; "why" may be NULL. */
static void
log_state(const NodeLink *link, const char *state, const char *why)
{
	const SharedNode *node = &node_table->nodes[link->slot];
	char		host[NODE_HOST_SIZE];
	char		port[NODE_PORT_SIZE];
	char		error[NODE_ERROR_SIZE] = "";

	LWLockAcquire(&node_table->lock, LW_SHARED);
	strlcpy(host, node->host, sizeof(host));
	strlcpy(port, node->port, sizeof(port));
	LWLockRelease(&node_table->lock);

	if (why)
		node_table_set_error(error, why);
	ereport(LOG,
			(errmsg("consistency: node %s:%s is %s", host, port, state),
			 error[0] ? errdetail_internal("%s", error) : 0));
}

/*
 * The node didn't do what it should: mark it down, close the connection, and
 * connect anew after a time that doubles with each failure.  The jitter keeps
 * the monitors of many servers from coming back at the same moment.
 */
static void
fail(NodeLink *link, int64 now, const char *message)
{
	int64		backoff = interval_us();

	if (link->failures == 0)
		log_state(link, "down", message);
	node_state_saw_failure(link->slot, link->generation, message);
	close_link(link);

	for (uint32 i = 0; i < link->failures && backoff < MAX_BACKOFF_US; i++)
		backoff *= 2;
	backoff = Min(backoff, MAX_BACKOFF_US);
	link->failures++;
	link->closed_us = now;
	link->due_us = now + backoff / 2 +
		(int64) (pg_prng_double(&pg_global_prng_state) * (backoff / 2));
	link->phase = LINK_CLOSED;
}

/*
 * Start to connect.  Where several servers declare this node, each failure
 * lets the next one say how.
 */
static void
connect_link(NodeLink *link, int64 now)
{
	int64		limit_us;

	if (node_table_conninfo(link->slot, link->failures, link->conninfo,
							&link->password_required) == 0)
	{
		node_link_stop(link);
		return;
	}
	if (!AcquireExternalFD())
	{
		fail(link, now, "too many open files on the monitoring server");
		return;
	}

	link->conn = start_connection(link->conninfo, &limit_us);
	if (link->conn == NULL)
	{
		ReleaseExternalFD();
		fail(link, now, "out of memory, or invalid connection options");
		return;
	}
	if (PQstatus(link->conn) == CONNECTION_BAD)
	{
		fail(link, now, PQerrorMessage(link->conn));
		return;
	}
	PQsetNoticeProcessor(link->conn, ignore_notice, NULL);
	link->phase = LINK_CONNECTING;
	link->deadline_us = now + limit_us;
	set_wants(link, WL_SOCKET_WRITEABLE);
	node_link_sockets_changed = true;
}

/*
 * PQconnectStartParams() with what we add; in *limit_us how long connecting
 * may take.  NULL if that can't even begin.
 */
static PGconn *
start_connection(const char *conninfo, int64 *limit_us)
{
	PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
	const char *keywords[MAX_OPTIONS + 3];
	const char *values[MAX_OPTIONS + 3];
	PGconn	   *conn;
	int			n = 0;

	if (parsed == NULL)
		return NULL;

	*limit_us = CONNECT_LIMIT_US;
	for (PQconninfoOption *option = parsed; option->keyword && n < MAX_OPTIONS; option++)
	{
		if (option->val == NULL || option->val[0] == '\0')
			continue;
		if (strcmp(option->keyword, "connect_timeout") == 0)
		{
			if (atoi(option->val) > 0)
				*limit_us = atoi(option->val) * INT64CONST(1000000);
		}
		else
		{
			keywords[n] = option->keyword;
			values[n++] = option->val;
		}
	}
	keywords[n] = "application_name";
	values[n++] = "consistency monitor";
	keywords[n] = values[n] = NULL;

	conn = PQconnectStartParams(keywords, values, false);
	PQconninfoFree(parsed);
	return conn;
}

static void
go_on_connecting(NodeLink *link, int64 now)
{
	switch (PQconnectPoll(link->conn))
	{
		case PGRES_POLLING_OK:
			connected(link, now);
			break;
		case PGRES_POLLING_READING:
			set_wants(link, WL_SOCKET_READABLE);
			break;
		case PGRES_POLLING_WRITING:
			set_wants(link, WL_SOCKET_WRITEABLE);
			break;
		default:
			fail(link, now, PQerrorMessage(link->conn));
			break;
	}

	/* libpq may have gone to another socket, even of the same number */
	node_link_sockets_changed = true;
}

/* Connected: check how, and send the first heartbeat. */
static void
connected(NodeLink *link, int64 now)
{
	if (link->password_required && !PQconnectionUsedPassword(link->conn))
	{
		fail(link, now, "the node did not ask for the password of the user mapping");
		return;
	}
	if (PQsetnonblocking(link->conn, 1) != 0)
	{
		fail(link, now, PQerrorMessage(link->conn));
		return;
	}
	link->first = true;
	ask(link, now);
}

/* Send a heartbeat. */
static void
ask(NodeLink *link, int64 now)
{
	if (!PQsendQueryParams(link->conn, HEARTBEAT_QUERY, 0, NULL, NULL, NULL, NULL, 0))
	{
		fail(link, now, PQerrorMessage(link->conn));
		return;
	}
	link->phase = LINK_ASKED;
	link->asked_us = now;
	link->deadline_us = now + Max(3 * interval_us(), MIN_ANSWER_LIMIT_US);
	(void) flush(link, now);
}

/* Send what libpq holds back; false if that failed. */
static bool
flush(NodeLink *link, int64 now)
{
	int			rc = PQflush(link->conn);

	if (rc < 0)
	{
		fail(link, now, PQerrorMessage(link->conn));
		return false;
	}
	set_wants(link, rc > 0 ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE);
	return true;
}

/* Take all results that are there; when none is left, the answer is complete. */
static void
read_answer(NodeLink *link, int64 now)
{
	while (!PQisBusy(link->conn))
	{
		PGresult   *result = PQgetResult(link->conn);
		const char *problem;

		if (result == NULL)
		{
			link->phase = LINK_IDLE;
			return;
		}
		problem = accept_answer(link, result);
		if (problem)
		{
			fail(link, now, problem);
			PQclear(result);
			return;
		}
		PQclear(result);
	}
}

/*
 * Write what a node answered to the shared table.  Returns NULL, or what is
 * wrong with it (valid as long as the result).
 */
static const char *
accept_answer(NodeLink *link, const PGresult *result)
{
	NodeHeartbeat heartbeat;
	uint32		hi,
				lo;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return PQresultErrorMessage(result);
	if (PQntuples(result) != 1 || PQnfields(result) != 6 ||
		sscanf(PQgetvalue(result, 0, 4), "%X/%X", &hi, &lo) != 2)
		return "the answer to the heartbeat makes no sense";
	if (strtou64(PQgetvalue(result, 0, 1), NULL, 10) != GetSystemIdentifier())
		return "the node belongs to another cluster: its system identifier is not ours";

	heartbeat.instance = (uint64) strtoi64(PQgetvalue(result, 0, 0), NULL, 10);
	heartbeat.caught_up = PQgetvalue(result, 0, 5)[0] == 't';
	heartbeat.self = heartbeat.instance == node_table->instance;
	heartbeat.role = PQgetvalue(result, 0, 2)[0] == 't' ? NODE_REPLICA : NODE_PRIMARY;
	heartbeat.position.tli = strtoul(PQgetvalue(result, 0, 3), NULL, 10);
	heartbeat.position.lsn = ((uint64) hi) << 32 | lo;
	heartbeat.asked_us = link->asked_us;
	heartbeat.first = link->first;
	node_table_heartbeat(link->slot, link->generation, &heartbeat);
	if (link->first)
		log_state(link, "up", NULL);
	link->first = false;
	link->role = heartbeat.role;
	link->self = heartbeat.self;
	link->failures = 0;
	return NULL;
}

/* Notices of a node are nothing for our log. */
static void
ignore_notice(void *arg, const char *message)
{
}
