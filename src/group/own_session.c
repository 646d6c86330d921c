/*-------------------------------------------------------------------------
 *
 * own_session.c
 *	  Running a statement here, in a session and a transaction of its own.
 *
 * A background worker runs it with the rights of the current role, and goes.  So
 * it is committed before our own transaction ends, and others can rely on it.
 * Statement and answer pass through a piece of shared memory: the answer is short.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "group/group.h"

#define ANSWER_SIZE (1024 * 1024)

/* Our session may hold what the worker waits for. */
#define LOCK_TIMEOUT "10s"

typedef enum AnswerState
{
	ANSWER_NONE,				/* the worker has died */
	ANSWER_ROWS,				/* ncolumns texts a row */
	ANSWER_ERROR				/* message, hint */
} AnswerState;

typedef struct OwnSession
{
	Oid			database;
	Oid			role;
	AnswerState state;
	int			sqlstate;		/* of an error */
	int			ncolumns;
	int			used;			/* bytes of text */
	char text[	FLEXIBLE_ARRAY_MEMBER]; /* first the query, then the answer:
										 * each value is a byte that says
										 * whether it is null, then a string */
} OwnSession;

PGDLLEXPORT void own_session_main(Datum arg);

static void start_and_wait(dsm_segment *segment);
static void start_failed(void) pg_attribute_noreturn();
static void run(OwnSession *session, const char *query);
static void put_rows(OwnSession *session);
static void put_error(OwnSession *session, const ErrorData *error);
static void put(OwnSession *session, const char *value);
static char *take(const OwnSession *session, int *at);
static List *take_rows(const OwnSession *session);

/*
 * own_session_query
 *		Run a statement; its rows as texts.  False and *error if it fails.
 */
bool
own_session_query(const char *query, List **rows, RemoteError *error)
{
	dsm_segment *segment = dsm_create(offsetof(OwnSession, text) + ANSWER_SIZE, 0);
	OwnSession *session = dsm_segment_address(segment);
	int			at = 0;
	bool		ok;

	if (strlen(query) >= ANSWER_SIZE)
		elog(ERROR, "statement is too long");
	*rows = NIL;
	memset(error, 0, sizeof(*error));
	session->database = MyDatabaseId;
	session->role = GetUserId();
	session->state = ANSWER_NONE;
	strcpy(session->text, query);
	start_and_wait(segment);

	ok = session->state == ANSWER_ROWS;
	if (ok)
		*rows = take_rows(session);
	else if (session->state == ANSWER_ERROR)
	{
		remote_error_set(error, session->sqlstate, take(session, &at));
		error->hint = take(session, &at);
	}
	else
		remote_error_set(error, ERRCODE_INTERNAL_ERROR,
						 "the session that was to run it has ended: see the server's log");
	dsm_detach(segment);
	return ok;
}

static void
start_and_wait(dsm_segment *segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	strlcpy(worker.bgw_name, "consistency group", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "consistency group", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "consistency", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "own_session_main", BGW_MAXLEN);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		start_failed();

	PG_TRY();
	{
		(void) WaitForBackgroundWorkerShutdown(handle);
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
start_failed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start a background worker"),
			 errhint("Increase max_worker_processes: each subscription needs one, too.")));
}

/* The worker's life. */
void
own_session_main(Datum arg)
{
	dsm_segment *segment;
	OwnSession *session;
	char	   *query;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "consistency group");
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		return;					/* who has asked is gone */
	dsm_pin_mapping(segment);
	session = dsm_segment_address(segment);
	query = MemoryContextStrdup(TopMemoryContext, session->text);

	BackgroundWorkerInitializeConnectionByOid(session->database, session->role, 0);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	run(session, query);
}

static void
run(OwnSession *session, const char *query)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, query);
		SPI_connect();
		if (SPI_execute(query, false, 0) < 0)
			elog(ERROR, "could not run \"%s\"", query);
		put_rows(session);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		pgstat_report_stat(true);
		session->state = ANSWER_ROWS;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		put_error(session, error);
	}
	PG_END_TRY();
}

static void
put_rows(OwnSession *session)
{
	session->used = 0;
	session->ncolumns = SPI_tuptable ? SPI_tuptable->tupdesc->natts : 0;
	for (uint64 i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
	{
		for (int column = 1; column <= session->ncolumns; column++)
			put(session, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column));
	}
}

static void
put_error(OwnSession *session, const ErrorData *error)
{
	session->used = 0;
	session->sqlstate = error->sqlerrcode;
	put(session, error->message ? error->message : "");
	put(session, error->hint);
	session->state = ANSWER_ERROR;
}

static void
put(OwnSession *session, const char *value)
{
	int			length = value ? strlen(value) + 1 : 0;

	if (session->used + 1 + length > ANSWER_SIZE)
		elog(ERROR, "answer is too long");
	session->text[session->used++] = value != NULL;
	if (value)
		memcpy(session->text +session->used, value, length);
	session->used += length;
}

/* The value that begins there, in this process's memory. */
static char *
take(const OwnSession *session, int *at)
{
	char	   *value = NULL;

	if (session->text[(*at)++])
	{
		value = pstrdup(session->text +*at);
		*at += strlen(value) + 1;
	}
	return value;
}

static List *
take_rows(const OwnSession *session)
{
	List	   *rows = NIL;
	int			at = 0;

	while (at < session->used)
	{
		TextRow    *row = group_make_row(session->ncolumns);

		for (int column = 0; column < session->ncolumns; column++)
			row->values[column] = take(session, &at);
		rows = lappend(rows, row);
	}
	return rows;
}
