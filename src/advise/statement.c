/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  The SQL that sets a level, as advice shows it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/statement.h"
#include "session/quorum.h"

/* The call of set_policy() for a table; an error if there is no such table. */
char *
statement_for_table(Oid relid, const Policy *policy)
{
	char	   *name = get_rel_name(relid);
	StringInfoData sql;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT consistency.set_policy(%s, '%s'",
					 quote_literal_cstr(name), level_name(policy->level));
	if (policy->kind == POLICY_DEFAULT)
		appendStringInfoString(&sql, ", kind => 'default'");
	if (policy->max_staleness_ms >= 0)
		appendStringInfo(&sql, ", max_staleness => '%s'", statement_ms(policy->max_staleness_ms));
	if (policy->on_timeout != ON_TIMEOUT_UNSET)
		appendStringInfo(&sql, ", on_timeout => '%s'", guc_on_timeout_name(policy->on_timeout));
	if (policy->write_quorum != QUORUM_UNSET)
		appendStringInfo(&sql, ", write_quorum => '%s'", quorum_text(policy->write_quorum));
	appendStringInfoString(&sql, ");");
	return sql.data;
}

/*
 * The same in settings: of the session, or behind a prefix such as
 * "ALTER ROLE app ".
 */
char *
statement_for_settings(const char *prefix, const Policy *policy, bool keeps_session)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%sSET consistency = '%s';", prefix, level_name(policy->level));
	if (policy->max_staleness_ms >= 0)
		appendStringInfo(&sql, " %sSET consistency.max_staleness = '%s';",
						 prefix, statement_ms(policy->max_staleness_ms));
	if (keeps_session)
		appendStringInfo(&sql, " %sSET consistency.bounded_keeps_session = on;", prefix);
	return sql.data;
}

/* A time that intervals and settings both understand, palloc'd. */
char *
statement_ms(int ms)
{
	return ms % 1000 == 0 ? psprintf("%d s", ms / 1000) : psprintf("%d ms", ms);
}
