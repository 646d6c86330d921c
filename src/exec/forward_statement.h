/*-------------------------------------------------------------------------
 *
 * forward_statement.h
 *	  One statement of a replica's client that runs at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_STATEMENT_H
#define CONSISTENCY_FORWARD_STATEMENT_H

#include "executor/tuptable.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"

#include "exec/forward_text.h"
#include "exec/route.h"
#include "remote/remote_query.h"
#include "remote/remote_row.h"

typedef struct ForwardStatement
{
	/* given by the caller */
	ForwardText text;
	const ParamExternData *params;
	int			nparams;
	Declaration declaration;	/* what it is promised */
	TupleDesc	columns;		/* of its rows; NULL: it returns none */
	bool		many_rows;		/* so many that COPY may be better */
	bool		writes;			/* or may */
	bool		in_transaction; /* it must not be a transaction of its own */
	bool		bare;			/* nothing may go along with it */
	bool		keeps_state;	/* it leaves something in the session over
								 * there, which must not go when that is idle */
	bool		commits_itself; /* whatever the client sends behind it */
	bool		falls_back;		/* a read that this replica couldn't serve in
								 * time */
	int64		waited_us;		/* its time that is gone already */

	/* the rest is its own */
	Route		route;
	bool		alone;			/* it is a transaction of its own */
	RemoteQuery query;			/* query.tag: its command tag, at the end */
	RemoteRowReader *reader;	/* NULL: there are no rows to read */
	RemoteRow	row;			/* being read */
	MemoryContext row_context;	/* values of that */
	MemoryContext turn;			/* while it counts as one that has fallen back */
	bool		row_came;		/* the first one, or the end */
	bool		running;		/* the connection is in use */
	bool		holds_cancel;	/* a cancel only takes effect over there */
	bool		stale;			/* the primary warned that it answers stale */
	MemoryContextCallback on_reset;
} ForwardStatement;

extern bool forward_statement_comes_of_rules(void);
extern bool forward_statement_is_another(const PlannedStmt *plan);
extern const ParamExternData *forward_statement_params(ParamListInfo given, int *nparams);
extern void forward_statement_start(ForwardStatement *statement);
extern bool forward_statement_next(ForwardStatement *statement, TupleTableSlot *slot);
extern void forward_statement_run(ForwardStatement *statement);
extern void forward_statement_end(ForwardStatement *statement);
extern uint64 forward_statement_processed(const ForwardStatement *statement);
extern void forward_statement_completion(const ForwardStatement *statement, QueryCompletion *qc);
extern void forward_statement_note(const ForwardStatement *statement, const char *reason);

/* for what is not sent as a query: COPY, VACUUM */
extern RemoteConnection *forward_statement_connect(ForwardStatement *statement, List **ahead);
extern void forward_statement_fail(ForwardStatement *statement) pg_attribute_noreturn();
extern void forward_statement_done(ForwardStatement *statement);

#endif							/* CONSISTENCY_FORWARD_STATEMENT_H */
