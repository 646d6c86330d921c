/*-------------------------------------------------------------------------
 *
 * level.c
 *	  The consistency levels and the setting that declares them.
 *
 * "consistency" has no dot, as SQL's own settings have none, so that people
 * write SET consistency = 'session'.  PostgreSQL accepts such a name from a
 * library, in every place but configuration files: these are read before the
 * library is loaded, and an unknown name without a dot keeps the server from
 * starting.  Hence consistency.default_level, which files can hold, and which
 * counts wherever "consistency" isn't set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "session/level.h"

static int	level_setting = LEVEL_UNSET;
static int	default_level_setting = LEVEL_SESSION;
static int	minimum_level_setting = LEVEL_WEAK;

/* "default" is what SHOW never tells: see show_level. */
static const struct config_enum_entry level_options[] = {
	{"default", LEVEL_UNSET, true},
	{"linearizable", LEVEL_LINEARIZABLE, false},
	{"strong", LEVEL_LINEARIZABLE, true},
	{"sequential", LEVEL_SEQUENTIAL, false},
	{"causal", LEVEL_CAUSAL, false},
	{"bounded", LEVEL_BOUNDED, false},
	{"session", LEVEL_SESSION, false},
	{"eventual", LEVEL_EVENTUAL, false},
	{"weak", LEVEL_WEAK, false},
	{NULL, 0, false}
};

/* The default can't be "default". */
#define DEFAULT_LEVEL_OPTIONS (&level_options[1])

static const char *show_level(void);

/* Define the settings. */
void
level_init(void)
{
	/* set by anyone: session, role, database, function, transaction */
	DefineCustomEnumVariable("consistency",
							 "Consistency that reads are promised.",
							 "Where it isn't set, consistency.default_level counts.",
							 &level_setting,
							 LEVEL_UNSET,
							 level_options,
							 PGC_USERSET,
							 GUC_DISALLOW_IN_FILE | GUC_DISALLOW_IN_AUTO_FILE,
							 NULL, NULL, show_level);

	/* set by administrators, in postgresql.conf */
	DefineCustomEnumVariable("consistency.default_level",
							 "Consistency of reads where \"consistency\" isn't set.",
							 NULL,
							 &default_level_setting,
							 LEVEL_SESSION,
							 DEFAULT_LEVEL_OPTIONS,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* set by administrators: for the server, a database or a role */
	DefineCustomEnumVariable("consistency.minimum_level",
							 "Level that no session, hint or table policy can go below.",
							 NULL,
							 &minimum_level_setting,
							 LEVEL_WEAK,
							 DEFAULT_LEVEL_OPTIONS,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
}

/* What the session has declared; LEVEL_UNSET: nothing. */
ConsistencyLevel
level_declared(void)
{
	return level_setting;
}

/* What counts for sessions that declare nothing. */
ConsistencyLevel
level_default(void)
{
	return default_level_setting;
}

/* What the administrator demands of this session at least. */
ConsistencyLevel
level_minimum(void)
{
	return minimum_level_setting;
}

/* The level that the settings alone promise. */
ConsistencyLevel
level_current(void)
{
	return level_setting == LEVEL_UNSET ? default_level_setting : level_setting;
}

/* The level's name, as users write it. */
const char *
level_name(ConsistencyLevel level)
{
	for (const struct config_enum_entry *entry = level_options; entry->name; entry++)
	{
		if (entry->val == (int) level && !entry->hidden)
			return entry->name;
	}
	return "default";
}

/* The level of that name, or of an alias; LEVEL_UNSET if there is none. */
ConsistencyLevel
level_parse(const char *name)
{
	for (const struct config_enum_entry *entry = DEFAULT_LEVEL_OPTIONS; entry->name; entry++)
	{
		if (pg_strcasecmp(name, entry->name) == 0)
			return entry->val;
	}
	return LEVEL_UNSET;
}

/* SHOW tells the level that counts, set here or by default. */
static const char *
show_level(void)
{
	return level_name(level_current());
}
