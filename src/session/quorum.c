/*-------------------------------------------------------------------------
 *
 * quorum.c
 *	  How many nodes must have a write, and how many a read asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#include "core/compat.h"
#include "session/quorum.h"

static char *write_setting = NULL;
static char *read_setting = NULL;
static int	write_quorum = QUORUM_ONE;
static int	read_quorum = QUORUM_ONE;

static bool check_quorum(char **newval, void **extra, GucSource source);
static void assign_write(const char *newval, void *extra);
static void assign_read(const char *newval, void *extra);

/* Define the settings. */
void
quorum_init(void)
{
	/* set by anyone */
	DefineCustomStringVariable("consistency.read_quorum",
							   "Nodes that a read asks how far they are, to run at the highest answer.",
							   "one, quorum (a majority), all, or a number of nodes.",
							   &read_setting,
							   "one",
							   PGC_USERSET, 0,
							   check_quorum, assign_read, NULL);

	/* set by anyone */
	DefineCustomStringVariable("consistency.write_quorum",
							   "Nodes that must have applied a commit before it is acknowledged.",
							   "one, quorum (a majority), all, or a number of nodes; the primary counts.",
							   &write_setting,
							   "one",
							   PGC_USERSET, 0,
							   check_quorum, assign_write, NULL);
}

/* consistency.write_quorum, as quorum_parse() tells it. */
int
quorum_write_setting(void)
{
	return write_quorum;
}

/* consistency.read_quorum, likewise. */
int
quorum_read_setting(void)
{
	return read_quorum;
}

/*
 * quorum_parse
 *		What a quorum means that is written like this: a number of nodes, or
 *		QUORUM_MAJORITY or QUORUM_ALL.  False: nothing.
 */
bool
quorum_parse(const char *text, int *quorum)
{
	if (pg_strcasecmp(text, "one") == 0)
		*quorum = QUORUM_ONE;
	else if (pg_strcasecmp(text, "quorum") == 0)
		*quorum = QUORUM_MAJORITY;
	else if (pg_strcasecmp(text, "all") == 0)
		*quorum = QUORUM_ALL;
	else
		return parse_int(text, quorum, 0, NULL) && *quorum >= 1 && *quorum <= QUORUM_MAX;
	return true;
}

/* The same as it is written: a constant, or palloc'd. */
const char *
quorum_text(int quorum)
{
	switch (quorum)
	{
		case QUORUM_ONE:
			return "one";
		case QUORUM_MAJORITY:
			return "quorum";
		case QUORUM_ALL:
			return "all";
		default:
			return psprintf("%d", quorum);
	}
}

/* How many nodes that are, of so many; more than there are if that is asked for. */
int
quorum_nodes(int quorum, int members)
{
	switch (quorum)
	{
		case QUORUM_MAJORITY:
			return members / 2 + 1;
		case QUORUM_ALL:
			return members;
		default:
			return quorum;
	}
}

/* That of two which wants more nodes, of so many; 0: how many isn't known. */
int
quorum_stronger(int quorum, int other, int members)
{
	if (members == 0)
		members = QUORUM_MAX;
	return quorum_nodes(quorum, members) >= quorum_nodes(other, members) ? quorum : other;
}

static bool
check_quorum(char **newval, void **extra, GucSource source)
{
	int			quorum;

	if (!quorum_parse(*newval, &quorum))
	{
		GUC_check_errhint(QUORUM_HINT);
		return false;
	}
	*extra = COMPAT_GUC_MALLOC(sizeof(int));
	if (*extra == NULL)
		return false;
	*(int *) *extra = quorum;
	return true;
}

static void
assign_write(const char *newval, void *extra)
{
	write_quorum = *(int *) extra;
}

static void
assign_read(const char *newval, void *extra)
{
	read_quorum = *(int *) extra;
}
