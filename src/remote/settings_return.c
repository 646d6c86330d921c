/*-------------------------------------------------------------------------
 *
 * settings_return.c
 *	  Settings that a statement has changed at another node come back.
 *
 * The node tells which settings its session has (settings_report.c), whenever
 * they have changed.  What differs from what it was sent, the statement has
 * changed: the same is done here, for the session or up to the end of the
 * transaction.  Transactions end at both ends, and so that isn't undone here by
 * what the other side says.
 *
 * In any case the connection takes note of what the node really has, be it that
 * a rollback undid something, or that a change can't be made here: what the next
 * statement isn't to find is then set back, or reset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/guc.h"

#include "remote/remote_settings.h"
#include "remote/settings_report.h"

static void compare(const RemoteConnection *connection, const char *report,
					RemoteSettingsEvent event);
static void compare_one(const ReportedSetting *now, const char *had, const ReportedSetting *before,
						RemoteSettingsEvent event);
static List *parse(const char *report);
static const ReportedSetting *find(const List *settings, const char *name);
static void apply(const char *name, const char *value, GucAction action);

/*
 * remote_settings_return
 *		The other side's session is idle, or waits for the transaction's next
 *		statement: learn what its settings are.
 *
 * Must not raise errors if something was undone.
 */
void
remote_settings_return(RemoteConnection *connection, RemoteSettingsEvent event)
{
	const char *report = PQparameterStatus(connection->conn, SETTINGS_REPORT_NAME);
	bool		same;

	if (connection->pooled || report == NULL || report[0] == '\0')
	{
		/* It doesn't tell, or not any more. */
		if (event == REMOTE_SETTINGS_UNDONE || connection->settings_report.len > 0)
			remote_settings_forget(connection);
		return;
	}

	same = strcmp(report, connection->settings_report.data) == 0;
	if (same && !connection->settings_sent)
		return;
	if (event != REMOTE_SETTINGS_UNDONE)
		compare(connection, report, event);
	remote_settings_note(connection, report);
}

/* Do here what the statement did to settings there. */
static void
compare(const RemoteConnection *connection, const char *report, RemoteSettingsEvent event)
{
	List	   *settings = parse(report);
	List	   *before = parse(connection->settings_report.data);
	ListCell   *cell;

	foreach(cell, settings)
	{
		const ReportedSetting *now = lfirst(cell);

		compare_one(now, remote_settings_had(connection, now->name),
					connection->settings_sent ? NULL : find(before, now->name), event);
	}

	/* Those that were reset; but what was local is gone at both ends. */
	for (const char *name = remote_settings_next(connection, NULL); name;
		 name = remote_settings_next(connection, name))
	{
		const ReportedSetting *now = find(settings, name);
		const ReportedSetting *old = find(before, name);

		if ((now == NULL || now->kind == REPORTED_LOGIN) &&
			!(event == REMOTE_SETTINGS_COMMITTED && old && old->kind != REPORTED_SESSION))
			apply(name, NULL, GUC_ACTION_SET);
	}
}

/*
 * One that there is: "had" is its value before the statement, NULL if there was
 * none, and "before" how it was set then, if that can be known.
 */
static void
compare_one(const ReportedSetting *now, const char *had, const ReportedSetting *before,
			RemoteSettingsEvent event)
{
	bool		was_local = before && before->kind != REPORTED_SESSION;
	bool		same = had && strcmp(had, now->value) == 0;

	if (now->kind == REPORTED_LOGIN)
		return;					/* that isn't set by a statement */
	if (event == REMOTE_SETTINGS_COMMITTED)
	{
		/* What was local is gone at both ends. */
		if (!was_local && !same)
			apply(now->name, now->value, GUC_ACTION_SET);
		return;
	}

	if (now->kind == REPORTED_SESSION && (!same || was_local))
		apply(now->name, now->value, GUC_ACTION_SET);
	if (now->kind == REPORTED_BOTH &&
		(!same || !was_local || before->session_value == NULL ||
		 strcmp(before->session_value, now->session_value) != 0))
	{
		apply(now->name, now->session_value, GUC_ACTION_SET);
		apply(now->name, now->value, GUC_ACTION_LOCAL);
	}
	if (now->kind == REPORTED_LOCAL && !same)
		apply(now->name, now->value, GUC_ACTION_LOCAL);
}

/* The settings in a report. */
static List *
parse(const char *report)
{
	List	   *settings = NIL;
	ReportedSetting setting;

	while (settings_report_next(&report, &setting))
	{
		ReportedSetting *copy = palloc(sizeof(setting));

		*copy = setting;
		settings = lappend(settings, copy);
	}
	return settings;
}

static const ReportedSetting *
find(const List *settings, const char *name)
{
	ListCell   *cell;

	foreach(cell, settings)
	{
		const ReportedSetting *setting = lfirst(cell);

		if (strcmp(setting->name, name) == 0)
			return setting;
	}
	return NULL;
}

/*
 * Whether it may be set was seen to at the primary.  What can't be set here, a
 * role that isn't known yet perhaps, will be taken back there.
 */
static void
apply(const char *name, const char *value, GucAction action)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, action, true, WARNING, false);
}
