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

static bool check_level(int *newval, void **extra, GucSource source);
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
							 check_level, NULL, show_level);

	/* set by administrators, in postgresql.conf */
	DefineCustomEnumVariable("consistency.default_level",
							 "Consistency of reads where \"consistency\" isn't set.",
							 NULL,
							 &default_level_setting,
							 LEVEL_SESSION,
							 DEFAULT_LEVEL_OPTIONS,
							 PGC_USERSET, 0,
							 check_level, NULL, NULL);
}

/* The level that the next statement is promised. */
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

/* Levels whose mechanism doesn't exist yet must not be promised. */
static bool
check_level(int *newval, void **extra, GucSource source)
{
	switch (*newval)
	{
		case LEVEL_SEQUENTIAL:
		case LEVEL_CAUSAL:
		case LEVEL_BOUNDED:
			GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
			GUC_check_errmsg("consistency level \"%s\" is not supported yet", level_name(*newval));
			GUC_check_errhint("Use \"session\", \"eventual\", \"weak\" or \"linearizable\".");
			return false;
		default:
			return true;
	}
}

/* SHOW tells the level that counts, set here or by default. */
static const char *
show_level(void)
{
	return level_name(level_current());
}
