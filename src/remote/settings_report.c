/*-------------------------------------------------------------------------
 *
 * settings_report.c
 *	  Which settings a session has, told to who serves a client over it.
 *
 * A statement that a replica has sent here may change settings: a function that
 * calls set_config(), a DO block, a trigger.  The client's session must have them
 * afterwards, and the replica can't know of them.  So it asks for a report: the
 * setting consistency.session_settings is a window on all that were set here, and
 * is reported to the client (GUC_REPORT) when they have changed, with the answer
 * that is on its way anyhow.
 *
 * PostgreSQL asks for the value ahead of ReadyForQuery, once the setting was set:
 * so whatever may change settings touches it, and what has changed is looked for
 * only once, at the end.
 *
 * A report is a list of settings with a comma behind each; of a name, its kind
 * and its value.  What isn't plain ASCII in it is written as %XX, so that no
 * client's encoding matters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "remote/remote_settings.h"
#include "remote/settings_report.h"

/* Never told: they belong to the transaction, or are told in another way. */
static const char *const untold[] = {
	SETTINGS_REPORT_NAME, "consistency.token", "seed", "transaction_deferrable",
	"transaction_isolation", "transaction_read_only",
};

/* consistency.session_settings as the settings machinery stores it */
static char *asked_setting = NULL;

/* it will be asked for the report */
static bool touched = false;

static StringInfoData report;
static uint64 report_fingerprint;

static bool check_asked(char **newval, void **extra, GucSource source);
static const char *show_report(void);
static void track_transaction(XactEvent event, void *arg);
static void track_subtransaction(SubXactEvent event, SubTransactionId subid,
								 SubTransactionId parent, void *arg);
static uint64 fingerprint(void);
static void make_report(void);
static bool told(const struct config_generic *setting, ReportedKind *kind);
static const char *masked_text(const struct config_generic *setting);
static void add_escaped(const char *text);
static char *next_part(const char **from, const char *ends);
static int	digit_value(char digit);

/* Define the setting, follow transactions.  Only while being preloaded. */
void
settings_report_init(void)
{
	/* set by replicas that forward statements */
	DefineCustomStringVariable(SETTINGS_REPORT_NAME,
							   "The settings of this session, for a replica that runs its client's statements here.",
							   "Setting it to \"on\" has them reported whenever they change.",
							   &asked_setting,
							   "",
							   PGC_USERSET,
							   GUC_REPORT | GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE |
							   GUC_DISALLOW_IN_FILE | GUC_DISALLOW_IN_AUTO_FILE,
							   check_asked, NULL, show_report);
	RegisterXactCallback(track_transaction, NULL);
	RegisterSubXactCallback(track_subtransaction, NULL);
}

static bool
check_asked(char **newval, void **extra, GucSource source)
{
	return **newval == '\0' || strcmp(*newval, "on") == 0;
}

/* Is the session one of another node, for a client of that one? */
bool
settings_report_asked(void)
{
	return asked_setting != NULL && asked_setting[0] != '\0';
}

/* Something may change settings: have PostgreSQL ask for the report. */
void
settings_report_touch(void)
{
	if (!settings_report_asked() || touched || proc_exit_inprogress)
		return;
	SetConfigOption(SETTINGS_REPORT_NAME, "on", PGC_USERSET, PGC_S_SESSION);
	touched = true;
}

/* What a transaction has set is undone with it, and all that was local. */
static void
track_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		settings_report_touch();
}

static void
track_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					 void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		settings_report_touch();
}

static const char *
show_report(void)
{
	uint64		now;

	if (!settings_report_asked())
		return "";
	touched = false;
	now = fingerprint();
	if (report.data == NULL || report_fingerprint != now)
		make_report();
	report_fingerprint = now;
	return report.data;
}

/* A hash of all that the report would tell, at less cost. */
static uint64
fingerprint(void)
{
	uint64		hash = 0;
	int			num;
	struct config_generic **all = compat_guc_variables(&num);
	ReportedKind kind;

	for (int i = 0; i < num; i++)
	{
		if (!told(all[i], &kind))
			continue;
		hash = hash_combine64(hash, remote_settings_hash(all[i]));
		hash = hash_combine64(hash, kind);
		if (kind == REPORTED_BOTH)
		{
			const char *text = masked_text(all[i]);

			hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) text,
															strlen(text), 1));
		}
	}
	return hash;
}

static void
make_report(void)
{
	int			num;
	struct config_generic **all = compat_guc_variables(&num);
	ReportedKind kind;

	if (report.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&report);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&report);
	for (int i = 0; i < num; i++)
	{
		const char *value;

		if (!told(all[i], &kind))
			continue;
		value = GetConfigOption(all[i]->name, true, false);
		add_escaped(all[i]->name);
		appendStringInfoChar(&report, kind);
		add_escaped(value ? value : "");
		if (kind == REPORTED_BOTH)
		{
			appendStringInfoChar(&report, kind);
			add_escaped(masked_text(all[i]));
		}
		appendStringInfoChar(&report, ',');
	}
}

/* Is a setting in the report, and as what? */
static bool
told(const struct config_generic *setting, ReportedKind *kind)
{
	const GucStack *stack = setting->stack;

	if (stack && stack->state == GUC_LOCAL)
		*kind = REPORTED_LOCAL;
	else if (stack && stack->state == GUC_SET_LOCAL)
		*kind = REPORTED_BOTH;
	else if (setting->source == PGC_S_SESSION)
		*kind = REPORTED_SESSION;
	else if (setting->source == PGC_S_DATABASE || setting->source == PGC_S_USER ||
			 setting->source == PGC_S_DATABASE_USER)
		*kind = REPORTED_LOGIN;
	else
		return false;
	for (int i = 0; i < lengthof(untold); i++)
	{
		if (strcmp(setting->name, untold[i]) == 0)
			return false;
	}
	return true;
}

/* The value that SET gave to a setting, before SET LOCAL gave another. */
static const char *
masked_text(const struct config_generic *setting)
{
	const union config_var_val *value = &setting->stack->masked.val;
	const char *text = NULL;

	switch (setting->vartype)
	{
		case PGC_BOOL:
			return value->boolval ? "on" : "off";
		case PGC_INT:
			return psprintf("%d", value->intval);
		case PGC_REAL:
			return psprintf("%g", value->realval);
		case PGC_STRING:
			text = value->stringval;

			break;
		case PGC_ENUM:
			text = config_enum_lookup_by_value((struct config_enum *) setting, value->enumval);

			break;
	}
	return text ? text : "";
}

static void
add_escaped(const char *text)
{
	for (; *text; text ++)
	{
		unsigned char c = *text;

		if (c > ' ' && c < 0x7f && strchr("%,=!&@", c) == NULL)
			appendStringInfoChar(&report, c);
		else
			appendStringInfo(&report, "%%%02X", c);
	}
}

/*
 * settings_report_next
 *		Take the next setting from a report.  False at the end.
 */
bool
settings_report_next(const char **rest, ReportedSetting *setting)
{
	if (**rest == '\0')
		return false;
	setting->name = next_part(rest, "=!&@");
	setting->kind = **rest ? *(*rest)++ : REPORTED_SESSION;
	setting->value = next_part(rest, ",&");
	setting->session_value = NULL;
	if (**rest == REPORTED_BOTH)
	{
		(*rest)++;
		setting->session_value = next_part(rest, ",");
	}
	if (**rest == ',')
		(*rest)++;
	return true;
}

/* A part of a report up to one of these characters, unescaped. */
static char *
next_part(const char **from, const char *ends)
{
	size_t		length = strcspn(*from, ends);
	const char *end = *from + length;
	char	   *part = palloc(length + 1);
	char	   *to = part;

	while (*from < end)
	{
		if (**from == '%' && end - *from > 2)
		{
			*to++ = digit_value((*from)[1]) << 4 | digit_value((*from)[2]);
			*from += 3;
		}
		else
			*to++ = *(*from)++;
	}
	*to = '\0';
	return part;
}

static int
digit_value(char digit)
{
	return isdigit((unsigned char) digit) ? digit - '0' : (digit - 'A' + 10) & 0xf;
}
