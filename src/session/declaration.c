/*-------------------------------------------------------------------------
 *
 * declaration.c
 *	  What a statement is promised, all things considered.
 *
 * What is declared for the statement is its hint's level, or else the
 * session's, or else, for each table that it reads, the table's default or the
 * server's.  To that the minimums are added: the administrator's for the
 * session, and those of the tables.  Each party gets what it asks for: where
 * one wants the session's own writes and another one a bound on the staleness,
 * both count.  A read quorum is apart from the level, and adds to any.  The strictest level is what people are shown.
 *
 * A read that may be answered stale when time is up could go below a minimum;
 * so it may be only where whoever set the minimum says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "session/declaration.h"
#include "session/hint.h"
#include "session/policy.h"
#include "session/quorum.h"

static bool add_declared(Declaration *declaration, const Hint *hint);
static void add_minimum(Declaration *declaration);
static void add_policies(Declaration *declaration, const List *relations, bool defaults);
static bool add_policies_of(Declaration *declaration, Oid relation, bool defaults);
static void note_policed(PolicedTables *policed, Oid relation);
static OnTimeout on_timeout_of_defaults(const List *relations, OnTimeout otherwise);
static void forbid_stale(Declaration *declaration, ConsistencyLevel minimum,
						 OnTimeout on_timeout);
static bool has_own_default(Oid relation);
static void add(Declaration *declaration, ConsistencyLevel level, int max_staleness_ms,
				int max_lag, DeclarationSource source, Oid relation);
static void add_bounds(Declaration *declaration, int max_staleness_ms, int max_lag,
					   DeclarationSource source, Oid relation);
static bool tighten(int *bound, int other);
static int	within_ceiling(int max_staleness_ms);
static const Hint *no_hint(void);

/*
 * declaration_of_settings
 *		What the settings alone promise: for what isn't a query.
 */
void
declaration_of_settings(Declaration *declaration)
{
	(void) add_declared(declaration, no_hint());
	add_minimum(declaration);
}

/*
 * declaration_of_statement
 *		What a statement is promised that stands at location (length bytes) in
 *		text and uses these relations.
 */
void
declaration_of_statement(Declaration *declaration, const char *text, int location,
						 int length, const List *relations)
{
	Hint		hint;
	bool		has_hint = text &&hint_of_statement(text, location, length, &hint);
	bool		declared = add_declared(declaration, has_hint ? &hint : no_hint());

	add_minimum(declaration);
	add_policies(declaration, relations, !declared);
}

/* Does a promise contain another one? */
bool
declaration_covers(const Declaration *declaration, const Declaration *other)
{
	return declaration->own_context >= other->own_context &&
		declaration->prefix >= other->prefix &&
		declaration->leader >= other->leader &&
		read_quorum_covers(&declaration->read_quorum, &other->read_quorum) &&
		(other->max_staleness_ms < 0 ||
		 (declaration->max_staleness_ms >= 0 &&
		  declaration->max_staleness_ms <= other->max_staleness_ms)) &&
		(other->max_lag < 0 ||
		 (declaration->max_lag >= 0 && declaration->max_lag <= other->max_lag));
}

/*
 * declaration_require_bound
 *		Raise an error if "bounded" was asked for but no bound is known.
 *
 * Not while declarations are put together: what reads no data needs none, such
 * as what other nodes ask this one before they send it a read.
 */
void
declaration_require_bound(const Declaration *declaration)
{
	if (declaration->lacks_bound)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("consistency level \"bounded\" has no bound"),
				 errhint("Set consistency.max_staleness or consistency.max_lag.")));
}

/* Who decided, in words for people: a constant, or palloc'd. */
const char *
declaration_source_text(DeclarationSource source, Oid relation)
{
	switch (source)
	{
		case DECLARED_BY_DEFAULT:
			return "consistency.default_level";
		case DECLARED_BY_SESSION:
			return "session";
		case DECLARED_BY_HINT:
			return "hint";
		case DECLARED_BY_MINIMUM:
			return "consistency.minimum_level";
		case DECLARED_BY_POLICY:
			{
				char	   *name = get_rel_name(relation);

				if (name == NULL)
					return "policy of a table";
				return psprintf("policy of %s",
								quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
														   name));
			}
	}
	return NULL;				/* not reached */
}

/*
 * Start with what is declared for the statement.  False: nothing is, and it has
 * the server's default.
 */
static bool
add_declared(Declaration *declaration, const Hint *hint)
{
	bool		hinted = hint->level != LEVEL_UNSET;
	bool		declared = hinted || level_declared() != LEVEL_UNSET;
	ConsistencyLevel level = hinted ? hint->level : level_current();
	bool		has_bounds = hint->max_staleness_ms >= 0 || hint->max_lag >= 0;
	DeclarationSource source = hinted ? DECLARED_BY_HINT :
	declared ? DECLARED_BY_SESSION : DECLARED_BY_DEFAULT;

	*declaration = (Declaration)
	{
		.max_staleness_ms = -1,
			.max_lag = -1,
			.on_timeout = hint->on_timeout != ON_TIMEOUT_UNSET ? hint->on_timeout : guc_on_timeout,
			.wait_timeout_ms = hint->wait_timeout_ms >= 0 ? hint->wait_timeout_ms : guc_wait_timeout,
	};
	add(declaration, level,
		has_bounds ? hint->max_staleness_ms : guc_max_staleness,
		has_bounds ? hint->max_lag : guc_max_lag, source, InvalidOid);
	if (level == LEVEL_BOUNDED && guc_bounded_keeps_session)
		declaration->own_context = true;
	read_quorum_add(&declaration->read_quorum, hint->read_quorum != QUORUM_UNSET ?
					hint->read_quorum : quorum_read_setting());
	return declared;
}

/* What the administrator demands of this session. */
static void
add_minimum(Declaration *declaration)
{
	ConsistencyLevel minimum = level_minimum();

	if (minimum == LEVEL_WEAK)
		return;
	add(declaration, minimum, guc_max_staleness, guc_max_lag, DECLARED_BY_MINIMUM, InvalidOid);
	forbid_stale(declaration, minimum, ON_TIMEOUT_UNSET);
}

/*
 * What the tables' owners demand.  Their defaults count where nothing was
 * declared; the server's default stays for tables that have none of their own,
 * while views and catalogs have no say.
 */
static void
add_policies(Declaration *declaration, const List *relations, bool defaults)
{
	bool		own_defaults = false;
	ListCell   *cell;

	foreach(cell, relations)
		own_defaults |= add_policies_of(declaration, lfirst_oid(cell), false);
	if (!defaults || !own_defaults)
		return;

	/* Begin anew: the server's default may be stricter than the tables'. */
	*declaration = (Declaration)
	{
		.max_staleness_ms = -1,
			.max_lag = -1,
			.on_timeout = on_timeout_of_defaults(relations, guc_on_timeout),
			.wait_timeout_ms = declaration->wait_timeout_ms,
			.read_quorum = declaration->read_quorum,
			.policed = declaration->policed,
	};
	add_minimum(declaration);
	foreach(cell, relations)
	{
		Oid			relation = lfirst_oid(cell);

		(void) add_policies_of(declaration, relation, true);
		if (!has_own_default(relation))
			add(declaration, level_default(), guc_max_staleness, guc_max_lag,
				DECLARED_BY_DEFAULT, InvalidOid);
	}
}

/*
 * Add the policies that hold for one relation; its defaults only if they count.
 * Are there any defaults?
 */
static bool
add_policies_of(Declaration *declaration, Oid relation, bool defaults)
{
	const Policy *policies;
	int			n = policy_of_relation(relation, &policies);
	bool		any_default = false;

	for (int i = 0; i < n; i++)
	{
		const Policy *policy = &policies[i];

		if (!defaults)
			note_policed(&declaration->policed, policy->relation);
		if (policy->kind == POLICY_DEFAULT)
		{
			any_default = true;
			if (!defaults)
				continue;
		}
		else
			forbid_stale(declaration, policy->level, policy->on_timeout);

		if (policy->max_staleness_ms >= 0 || policy->max_lag >= 0)
			add(declaration, policy->level, policy->max_staleness_ms, policy->max_lag,
				DECLARED_BY_POLICY, policy->relation);
		else
			add(declaration, policy->level, guc_max_staleness, guc_max_lag,
				DECLARED_BY_POLICY, policy->relation);
	}
	return any_default;
}

static void
note_policed(PolicedTables *policed, Oid relation)
{
	for (int i = 0; i < policed->n; i++)
	{
		if (policed->relations[i] == relation)
			return;
	}
	if (policed->n < DECLARATION_MAX_POLICED)
		policed->relations[policed->n++] = relation;
}

/* The strictest that the tables' defaults say, or otherwise this. */
static OnTimeout
on_timeout_of_defaults(const List *relations, OnTimeout otherwise)
{
	OnTimeout	strictest = ON_TIMEOUT_UNSET;
	ListCell   *cell;

	foreach(cell, relations)
	{
		const Policy *policies;
		int			n = policy_of_relation(lfirst_oid(cell), &policies);

		for (int i = 0; i < n; i++)
		{
			if (policies[i].kind == POLICY_DEFAULT)
				strictest = Max(strictest, policies[i].on_timeout);
		}
	}
	return strictest == ON_TIMEOUT_UNSET ? otherwise : strictest;
}

/*
 * A minimum holds: whoever set it says what becomes of a read whose time is up.
 * If nothing is said, it isn't answered below the minimum.
 */
static void
forbid_stale(Declaration *declaration, ConsistencyLevel minimum, OnTimeout on_timeout)
{
	if (minimum <= LEVEL_EVENTUAL)
		return;
	if (on_timeout == ON_TIMEOUT_UNSET)
		on_timeout = ON_TIMEOUT_PRIMARY;
	declaration->on_timeout = Max(declaration->on_timeout, on_timeout);
}

/* Has it a default of its own, or no say in that matter? */
static bool
has_own_default(Oid relation)
{
	const Policy *policies;
	int			n = policy_of_relation(relation, &policies);

	for (int i = 0; i < n; i++)
	{
		if (policies[i].kind == POLICY_DEFAULT)
			return true;
	}
	return relation < FirstNormalObjectId || get_rel_relkind(relation) == RELKIND_VIEW;
}

/* Add what one party asks for; the bounds matter for the level "bounded" only. */
static void
add(Declaration *declaration, ConsistencyLevel level, int max_staleness_ms, int max_lag,
	DeclarationSource source, Oid relation)
{
	if (level > declaration->level)
	{
		declaration->level = level;
		declaration->source = source;
		declaration->relation = relation;
	}

	declaration->own_context |= level >= LEVEL_SESSION && level != LEVEL_BOUNDED;
	declaration->prefix |= level >= LEVEL_CAUSAL;
	declaration->leader |= level == LEVEL_LINEARIZABLE;
	if (level == LEVEL_BOUNDED)
		add_bounds(declaration, max_staleness_ms, max_lag, source, relation);
}

static void
add_bounds(Declaration *declaration, int max_staleness_ms, int max_lag,
		   DeclarationSource source, Oid relation)
{
	bool		tighter;

	max_staleness_ms = within_ceiling(max_staleness_ms);
	declaration->lacks_bound |= max_staleness_ms < 0 && max_lag < 0;
	tighter = tighten(&declaration->max_staleness_ms, max_staleness_ms);
	tighter |= tighten(&declaration->max_lag, max_lag);
	if (tighter && declaration->level == LEVEL_BOUNDED)
	{
		declaration->source = source;
		declaration->relation = relation;
	}
}

/* Lower a bound to another one; -1 is none.  Was it higher? */
static bool
tighten(int *bound, int other)
{
	if (other < 0 || (*bound >= 0 && *bound <= other))
		return false;
	*bound = other;
	return true;
}

static int
within_ceiling(int max_staleness_ms)
{
	if (guc_staleness_ceiling < 0)
		return max_staleness_ms;
	return max_staleness_ms < 0 ? guc_staleness_ceiling :
		Min(max_staleness_ms, guc_staleness_ceiling);
}

static const Hint *
no_hint(void)
{
	static const Hint none = {
		.level = LEVEL_UNSET,
		.max_staleness_ms = -1,
		.max_lag = -1,
		.on_timeout = ON_TIMEOUT_UNSET,
		.wait_timeout_ms = -1,
		.read_quorum = QUORUM_UNSET,
	};

	return &none;
}
