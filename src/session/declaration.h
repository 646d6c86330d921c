/*-------------------------------------------------------------------------
 *
 * declaration.h
 *	  What a statement is promised, all things considered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_DECLARATION_H
#define CONSISTENCY_DECLARATION_H

#include "nodes/pg_list.h"

#include "core/guc.h"
#include "session/level.h"
#include "session/read_quorum.h"

/* Who has a say */
typedef enum DeclarationSource
{
	DECLARED_BY_DEFAULT,		/* consistency.default_level */
	DECLARED_BY_SESSION,		/* the setting "consistency" */
	DECLARED_BY_HINT,			/* the statement's comment */
	DECLARED_BY_MINIMUM,		/* consistency.minimum_level */
	DECLARED_BY_POLICY			/* of a table */
} DeclarationSource;

/* tables with policies that are remembered, of those that a statement reads */
#define DECLARATION_MAX_POLICED 4

/* Tables whose policies a statement heeds: the first ones. */
typedef struct PolicedTables
{
	int			n;
	Oid			relations[DECLARATION_MAX_POLICED];
} PolicedTables;

typedef struct Declaration
{
	ConsistencyLevel level;		/* the strictest that anyone asks for */
	DeclarationSource source;	/* who that is */
	Oid			relation;		/* whose policy, if a policy's */

	/* what all of them ask for together */
	bool		own_context;	/* what the session has written and seen */
	bool		prefix;			/* no commit without those before it */
	bool		leader;			/* the primary alone */
	int			max_staleness_ms;	/* -1: no bound */
	int			max_lag;		/* bytes; -1: no bound */
	bool		lacks_bound;	/* "bounded" was asked for without a bound */
	ReadQuorum	read_quorum;	/* nodes to be asked first */

	OnTimeout	on_timeout;
	int			wait_timeout_ms;
	PolicedTables policed;
} Declaration;

extern void declaration_of_settings(Declaration *declaration);
extern void declaration_of_statement(Declaration *declaration, const char *text,
									 int location, int length, const List *relations);
extern bool declaration_covers(const Declaration *declaration, const Declaration *other);
extern void declaration_require_bound(const Declaration *declaration);
extern const char *declaration_source_text(DeclarationSource source, Oid relation);

#endif							/* CONSISTENCY_DECLARATION_H */
