/*-------------------------------------------------------------------------
 *
 * weaken.c
 *	  Switches single mechanisms off, for negative controls: see weaken.h.
 *
 * Empty in builds that are to be used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef CONSISTENCY_WEAKEN

#include "nodes/pg_list.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/weaken.h"

int			weaken_mask = 0;

/* consistency.weaken, as it was set */
static char *weaken_setting = NULL;

/* As the setting names them, in the order of enum Mechanism. */
static const char *const weaken_names[] = {
	"answers", "async", "barrier", "bounds", "deposed", "fence", "observed",
	"replay_wait", "snapshot", "timeline", "tokens", "written",
};

static bool check_weaken(char **newval, void **extra, GucSource source);
static void assign_weaken(const char *newval, void *extra);
static bool add_mechanism(const char *name, int *mask);

/* Define the setting.  Only while being preloaded. */
void
weaken_init(void)
{
	/* set by tests, and by those to whom they grant it */
	DefineCustomStringVariable("consistency.weaken",
							   "Mechanisms that are switched off, so that promises are broken.",
							   "This build is for tests only.",
							   &weaken_setting,
							   "",
							   PGC_SUSET, GUC_LIST_INPUT | GUC_NOT_IN_SAMPLE,
							   check_weaken, assign_weaken, NULL);
	ereport(WARNING,
			(errmsg("this build of \"consistency\" can be made to break its promises"),
			 errhint("It is for tests. Build without CONSISTENCY_WEAKEN for any other use.")));
}

static bool
check_weaken(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;
	ListCell   *cell;
	int			mask = 0;

	if (!SplitIdentifierString(copy, ',', &names))
	{
		GUC_check_errdetail("List syntax is invalid.");
		return false;
	}
	foreach(cell, names)
	{
		if (!add_mechanism(lfirst(cell), &mask))
		{
			GUC_check_errdetail("There is no mechanism \"%s\".", (char *) lfirst(cell));
			return false;
		}
	}
	list_free(names);
	pfree(copy);

	*extra = COMPAT_GUC_MALLOC(sizeof(int));
	if (*extra == NULL)
		return false;
	*(int *) *extra = mask;
	return true;
}

static void
assign_weaken(const char *newval, void *extra)
{
	weaken_mask = *(int *) extra;
}

/* False if no mechanism is called so. */
static bool
add_mechanism(const char *name, int *mask)
{
	StaticAssertStmt(lengthof(weaken_names) == MECHANISM_WRITTEN + 1, "a name for each");

	for (int i = 0; i < lengthof(weaken_names); i++)
	{
		if (strcmp(weaken_names[i], name) == 0)
		{
			*mask |= 1 << i;
			return true;
		}
	}
	return false;
}

#endif							/* CONSISTENCY_WEAKEN */
