/*-------------------------------------------------------------------------
 *
 * session.c
 *	  What a session has written and seen, and the token that tells it.
 *
 * The setting consistency.token is a window on the session's context: showing
 * it formats the context's position, setting it merges a position into the
 * context, resetting it clears the context.  It is reported to the client
 * (GUC_REPORT) when the position has moved by the end of a transaction, with
 * the answer that is on its way anyhow.
 *
 * The context isn't undone by ROLLBACK: what a transaction that failed has
 * read was seen all the same, and a token handed in is still known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "core/compat.h"
#include "core/errors.h"
#include "core/extension.h"
#include "core/guc.h"
#include "core/weaken.h"
#include "session/commit_position.h"
#include "session/session.h"
#include "session/token.h"

static SessionContext context;

/* consistency.token as the settings machinery stores it: what was last set */
static char *token_setting = NULL;

/* what the client was last told */
static Token published;

/* we are setting consistency.token ourselves, to have it reported */
static bool publishing = false;

/* a token was set or reset, and no transaction has used it since */
static bool import_unused = false;

/* the transaction has read something, here or elsewhere */
static bool has_read = false;

/* the transaction wrote though it has no transaction id: COMMIT PREPARED */
static bool wrote_without_xid = false;

static bool check_token(char **newval, void **extra, GucSource source);
static void assign_token(const char *newval, void *extra);
static const char *show_token(void);
static void track_transaction(XactEvent event, void *arg);
static Token context_token(void);
static void know_token(Token token);
static void know_position(Position position);
static void publish_token(void);
static void tell_again(void);
static struct config_generic *token_record(void);
static const char *session_token(void);

PG_FUNCTION_INFO_V1(consistency_token);

/* Define the setting, follow transactions.  Only while being preloaded. */
void
session_init(void)
{
	/* set by clients that carry a token from one connection to another */
	DefineCustomStringVariable("consistency.token",
							   "What this session has written and seen, for other sessions to catch up with.",
							   "Setting it makes later reads see at least that; resetting it forgets all.",
							   &token_setting,
							   "",
							   PGC_USERSET,
							   GUC_REPORT | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE |
							   GUC_DISALLOW_IN_AUTO_FILE,
							   check_token, assign_token, show_token);
	RegisterXactCallback(track_transaction, NULL);
}

/* The context, to look at. */
const SessionContext *
session_context(void)
{
	return &context;
}

/*
 * What the session hands on: its highest position; and, of older timelines, the
 * highest that isn't known to be part of the history of that one.
 */
static Token
context_token(void)
{
	Position	here = position_max(context.written, context.observed);
	Token		token = {session_context_position(&context), context.older};

	if (!context.elsewhere_holds_here && here.tli != context.elsewhere.tli)
	{
		Position	lower = position_before(here, context.elsewhere) ? here : context.elsewhere;

		token.older = position_max(token.older, lower);
	}
	return token;
}

/* The context as a token; in a static buffer. */
static const char *
session_token(void)
{
	static char buf[TOKEN_TEXT_SIZE];

	return token_format(context_token(), GetSystemIdentifier(), buf);
}

/*
 * session_observed_here
 *		The session reads at this server, with a snapshot taken before this
 *		call.
 */
void
session_observed_here(void)
{
	if (!weakened(MECHANISM_OBSERVED))
		context.observed = position_max(context.observed, commit_position_bound());
	has_read = true;
}

/*
 * session_observed_elsewhere
 *		The session has seen a position at another node, or got it as a token.
 *
 * One of a newer timeline doesn't imply those of older ones.
 */
void
session_observed_elsewhere(Token token)
{
	has_read = true;
	if (!weakened(MECHANISM_ANSWERS))
		know_token(token);
}

static void
know_token(Token token)
{
	if (position_is_set(token.older))
		know_position(token.older);
	know_position(token.newest);
}

/* The session's reads must show this position from now on. */
static void
know_position(Position position)
{
	if (position.tli < context.elsewhere.tli)
		context.older = position_max(context.older, position);
	else if (position_before(context.elsewhere, position))
	{
		if (position.tli > context.elsewhere.tli && !context.elsewhere_holds_here)
			context.older = position_max(context.older, context.elsewhere);
		context.elsewhere = position;
		context.elsewhere_holds_here = false;
	}
}

/*
 * session_elsewhere_holds_here
 *		Every snapshot that will be taken at this server from now on shows these
 *		positions, which the session may have seen elsewhere.
 */
void
session_elsewhere_holds_here(Position position, Position older)
{
	if (position.tli == context.elsewhere.tli && position.lsn >= context.elsewhere.lsn)
		context.elsewhere_holds_here = true;
	if (older.tli == context.older.tli && older.lsn >= context.older.lsn)
		context.older = POSITION_NONE;
}

/* The current transaction makes something visible though it has no xid. */
void
session_wrote_without_xid(void)
{
	wrote_without_xid = true;
}

/* Forget everything, as for a new client of a connection pool. */
void
session_reset(void)
{
	memset(&context, 0, sizeof(context));
	memset(&published, 0, sizeof(published));
}

/*
 * consistency.token() returns text
 *		The session's token, '' if it has neither written nor seen anything.
 */
Datum
consistency_token(PG_FUNCTION_ARGS)
{
	errors_require_preload("consistency.token()");
	PG_RETURN_TEXT_P(cstring_to_text(session_token()));
}

static bool
check_token(char **newval, void **extra, GucSource source)
{
	Token		token;

	/* The system identifier isn't there yet while the postmaster starts. */
	if (**newval == '\0' || publishing)
		return true;

	switch (token_parse(*newval, GetSystemIdentifier(), &token))
	{
		case TOKEN_OK:
			return true;
		case TOKEN_MALFORMED:
			token_note_refused(TOKEN_MALFORMED);
			GUC_check_errmsg(TOKEN_MALFORMED_MESSAGE, *newval);
			GUC_check_errhint(TOKEN_MALFORMED_HINT);
			return false;
		case TOKEN_FOREIGN:
			token_note_refused(TOKEN_FOREIGN);
			GUC_check_errmsg(TOKEN_FOREIGN_MESSAGE, *newval);
			GUC_check_errhint(TOKEN_FOREIGN_HINT);
			return false;
	}
	return false;
}

/*
 * Merge the token into the context, or clear the context for none.
 *
 * Not when an aborting or committing transaction puts an earlier value of the
 * setting back, which is when no transaction is in progress.
 */
static void
assign_token(const char *newval, void *extra)
{
	Token		token;

	if (publishing || !IsTransactionState())
		return;

	import_unused = true;
	tell_again();
	if (newval[0] == '\0')
		session_reset();
	else if (token_parse(newval, GetSystemIdentifier(), &token) == TOKEN_OK &&
			 !weakened(MECHANISM_TOKENS))
		know_token(token);
}

static const char *
show_token(void)
{
	/* The postmaster has no system identifier when it first asks. */
	return position_is_set(session_context_position(&context)) ? session_token() : "";
}

static void
track_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			/* A reader's WAL (pruning, say) is nothing that it has written. */
			if (extension_was_created() && !weakened(MECHANISM_WRITTEN) &&
				(wrote_without_xid || TransactionIdIsValid(GetTopTransactionIdIfAny())))
				context.written = (Position)
			{
				GetWALInsertionTimeLine(), XactLastCommitEnd
			};
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
			wrote_without_xid = false;
			if (import_unused && has_read)
			{
				tell_again();
				import_unused = false;
			}
			has_read = false;
			publish_token();
			break;
		default:
			break;
	}
}

/*
 * publish_token
 *		Have the token reported to the client if it has moved.
 *
 * PostgreSQL reports a setting once it was set, and asks show_token for the
 * value; so the value set here only counts for pg_settings.reset and the like.
 * When a transaction aborts it is taken back, but reported nevertheless.
 */
static void
publish_token(void)
{
	Token		token;

	if (!guc_report_token || !extension_was_created() || MyBackendType != B_BACKEND ||
		proc_exit_inprogress)
		return;

	token = context_token();
	if (position_equal(token.newest, published.newest) && position_equal(token.older, published.older))
		return;

	publishing = true;
	SetConfigOption("consistency.token", session_token(), PGC_USERSET, PGC_S_SESSION);
	publishing = false;
	published = token;
}

/*
 * tell_again
 *		Whoever sets or resets the token is told it, even if it is what this
 *		connection was told before.
 *
 * Behind a pooler that was perhaps another client.  This one now has a position
 * that it hasn't heard of, and must hear of it to carry on from there at another
 * connection.  If a pooler sets the token on the client's behalf, in a
 * transaction of its own, the client hears of it with its first read.
 */
static void
tell_again(void)
{
	struct config_generic *record = token_record();

	memset(&published, 0, sizeof(published));
	if (record != NULL && record->last_reported != NULL)
	{
		COMPAT_GUC_FREE(record->last_reported);
		record->last_reported = NULL;
	}
}

/* What the settings machinery knows of consistency.token. */
static struct config_generic *
token_record(void)
{
	static struct config_generic *record = NULL;

	if (record == NULL)
	{
		int			num;
		struct config_generic **variables = compat_guc_variables(&num);

		for (int i = 0; i < num && record == NULL; i++)
			if (strcmp(variables[i]->name, "consistency.token") == 0)
				record = variables[i];
	}
	return record;
}
