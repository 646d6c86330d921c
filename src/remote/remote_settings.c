/*-------------------------------------------------------------------------
 *
 * remote_settings.c
 *	  Settings that a query must find at another node as it finds them here.
 *
 * Two kinds are carried over: those that change answers, always, since the
 * nodes' configuration files may differ; and whatever was set for this session,
 * its role or its database (applications keep their own settings there, for
 * row security policies among others).  Of settings that not everybody may set,
 * those that the current role may, and that were set in this session.
 *
 * The client's encoding goes along as well: text travels in it, see remote_row.h.
 * So does the current role, where that isn't the login.
 *
 * The connection remembers what the other side has.  As a rule nothing has
 * changed, and nothing is sent.  What statements and rollbacks change there it is
 * told (settings_return.c).  Where it isn't, all is sent anew, and whatever was
 * ever sent and isn't wanted now is reset.
 *
 * What the login has by default there, and the client's session doesn't have, is
 * set to what it is here.
 *
 * Behind a pooler nothing may be left in a session: all is set for each
 * transaction anew, and only for that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "remote/remote_settings.h"
#include "remote/settings_report.h"

/* Carried over always: they change what a query returns. */
static const char *const answer_settings[] = {
	"DateStyle", "IntervalStyle", "TimeZone", "array_nulls", "backslash_quote",
	"bytea_output", "client_encoding", "default_text_search_config",
	"extra_float_digits", "lc_monetary", "lc_numeric", "lc_time", "row_security",
	"search_path", "standard_conforming_strings", "timezone_abbreviations",
	"transform_null_equals", "xmlbinary", "xmloption",
};

/* Never carried over: they belong to the connection or the transaction. */
static const char *const own_settings[] = {
	"application_name", "client_connection_check_interval",
	"default_transaction_deferrable", "default_transaction_isolation",
	"default_transaction_read_only", "escape_string_warning", "idle_in_transaction_session_timeout",
	"idle_session_timeout", "role", "seed", "session_authorization", "statement_timeout",
	"tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval",
	"tcp_user_timeout", "transaction_deferrable", "transaction_isolation",
	"transaction_read_only", "transaction_timeout",
};

/* Our own that are carried over, as an application's are. */
static const char *const carried_settings[] = {
	"consistency.on_unconfirmed", "consistency.replica_id", "consistency.write_quorum",
	"consistency.write_quorum_timeout",
};

static uint64 settings_fingerprint(RemoteConnection *connection, const RemotePromise *promise);
static const char *role_there(const RemoteConnection *connection);
static void add_session(StringInfo settings, const RemoteConnection *connection);
static void add_promise(StringInfo settings, const RemotePromise *promise);
static void collect_settings(StringInfo settings, const RemoteConnection *connection);
static void keep_restricted(StringInfo settings, const RemoteConnection *connection);
static bool carried_over(const struct config_generic *setting);
static void add_setting(StringInfo settings, const char *name, const char *otherwise);
static bool is_own(const char *name);
static void add_change(RemoteSettingsChange *change, StringInfo sql,
					   const RemoteConnection *connection, const char *name, const char *value);
static void add_resets(RemoteSettingsChange *change, StringInfo sql,
					   const RemoteConnection *connection, const StringInfoData *wanted);
static bool may_set(const char *name);
static GucContext context_of(const char *name);
static void note_name(StringInfo names, const char *name);
static const char *find_setting(const StringInfoData *settings, const char *name);
static const char *next_setting(const StringInfoData *settings, const char *name);
static const char *next_name(const StringInfoData *names, const char *name);
static bool find_name(const StringInfoData *names, const char *name);
static bool listed(const char *name, const char *const *list, int length);

/*
 * remote_settings_change
 *		What must be sent so that the other side has our settings, and those
 *		that say the promise?  False: nothing.
 *
 * The connection takes note of it as sent.  Values are palloc'd.
 */
bool
remote_settings_change(RemoteConnection *connection, const RemotePromise *promise,
					   RemoteSettingsChange *change)
{
	StringInfoData wanted;
	StringInfoData sql;
	StringInfo	had = &connection->settings;
	uint64		fingerprint = settings_fingerprint(connection, promise);

	/* The same as last time?  That is how it mostly is. */
	if (had->len > 0 && connection->settings_fingerprint == fingerprint)
		return false;
	connection->settings_fingerprint = fingerprint;

	/* The role first: it is the one that may set the rest. */
	initStringInfo(&wanted);
	add_session(&wanted, connection);
	collect_settings(&wanted, connection);
	add_promise(&wanted, promise);
	keep_restricted(&wanted, connection);

	initStringInfo(&sql);
	change->nvalues = 0;
	change->values = NULL;
	for (const char *name = next_setting(&wanted, NULL); name; name = next_setting(&wanted, name))
	{
		const char *value = find_setting(&wanted, name);
		const char *old = find_setting(had, name);

		if (old == NULL || strcmp(old, value) != 0)
			add_change(change, &sql, connection, name, value);
		note_name(&connection->setting_names, name);
	}
	add_resets(change, &sql, connection, &wanted);

	resetStringInfo(had);
	appendBinaryStringInfo(had, wanted.data, wanted.len);
	connection->settings_sent |= change->nvalues > 0;
	change->sql = sql.data;
	pfree(wanted.data);
	return change->nvalues > 0;
}

/* Is a transaction there, as far as is known, what BEGIN means if it says nothing? */
bool
remote_settings_begin_plainly(const RemoteConnection *connection)
{
	const char *isolation = find_setting(&connection->settings, "default_transaction_isolation");
	const char *read_only = find_setting(&connection->settings, "default_transaction_read_only");

	return isolation && strcmp(isolation, "read committed") == 0 &&
		read_only && strcmp(read_only, "off") == 0;
}

/*
 * remote_settings_forget
 *		What was sent may have been undone by a rollback: the next change says
 *		all anew.
 */
void
remote_settings_forget(RemoteConnection *connection)
{
	resetStringInfo(&connection->settings);
	resetStringInfo(&connection->settings_report);
}

/*
 * remote_settings_may_become_ours
 *		Can the other side's settings be made what they are here?
 *
 * Not if the session of an ordinary role has one there that only a superuser can
 * set back, as a superuser's function has set it.
 */
bool
remote_settings_may_become_ours(const RemoteConnection *connection)
{
	const StringInfoData *names = &connection->restricted_settings;

	for (const char *name = next_name(names, NULL); name; name = next_name(names, name))
	{
		const char *here = GetConfigOption(name, true, false);
		const char *there = find_setting(&connection->settings, name);

		if (!may_set(name) && there && strcmp(here ? here : "", there) != 0)
			return false;
	}
	return true;
}

/*
 * remote_settings_note
 *		The other side has told what it has.
 */
void
remote_settings_note(RemoteConnection *connection, const char *report)
{
	StringInfo	had = &connection->settings;
	const char *rest = report;
	ReportedSetting setting;

	resetStringInfo(had);
	resetStringInfo(&connection->restricted_settings);
	while (settings_report_next(&rest, &setting))
	{
		if (setting.kind == REPORTED_LOGIN)
			note_name(&connection->login_settings, setting.name);
		else
		{
			note_name(&connection->setting_names, setting.name);
			appendBinaryStringInfo(had, setting.name, strlen(setting.name) + 1);
			appendBinaryStringInfo(had, setting.value, strlen(setting.value) + 1);
			if (context_of(setting.name) != PGC_USERSET)
				note_name(&connection->restricted_settings, setting.name);
		}
	}
	resetStringInfo(&connection->settings_report);
	appendStringInfoString(&connection->settings_report, report);
	connection->settings_fingerprint = 0;
	connection->settings_sent = false;
}

/* What the other side had before the statement, as far as is known; NULL: nothing. */
const char *
remote_settings_had(const RemoteConnection *connection, const char *name)
{
	return find_setting(&connection->settings, name);
}

/* The name of the next setting that it had; NULL: the first, or the end. */
const char *
remote_settings_next(const RemoteConnection *connection, const char *name)
{
	return next_setting(&connection->settings, name);
}

/*
 * settings_fingerprint
 *		A hash of all that collect_settings() would collect, at less cost.
 */
static uint64
settings_fingerprint(RemoteConnection *connection, const RemotePromise *promise)
{
	static struct config_generic *answers[lengthof(answer_settings)];
	int			num;
	struct config_generic **all = compat_guc_variables(&num);
	uint64		hash = hash_bytes_extended((const unsigned char *) promise->level,
										   strlen(promise->level), 0);

	hash = hash_combine64(hash, (uint64) promise->on_timeout[0] << 2 | promise->keeps_session << 1 |
						  promise->require_fence);
	hash = hash_combine64(hash, (uint64) promise->max_staleness_ms << 32 | (uint32) promise->max_lag);
	hash = hash_combine64(hash, promise->wait_timeout_ms);
	hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) promise->read_quorum,
													strlen(promise->read_quorum), 3));
	hash = hash_combine64(hash, (uint64) connection->login << 32 | GetUserId());
	hash = hash_combine64(hash, connection_idle_timeout(connection));
	hash = hash_combine64(hash, strcmp(GetConfigOption("role", true, false), "none") != 0);

	/* Settings never move: those of the server and ours are defined for good. */
	if (answers[0] == NULL)
	{
		for (int i = 0; i < num; i++)
		{
			for (int j = 0; j < lengthof(answer_settings); j++)
			{
				if (pg_strcasecmp(all[i]->name, answer_settings[j]) == 0)
					answers[j] = all[i];
			}
		}
	}

	for (int i = 0; i < num; i++)
	{
		if (carried_over(all[i]))
			hash = hash_combine64(hash, remote_settings_hash(all[i]));
	}
	connection->answers_fingerprint = 0;
	for (int i = 0; i < lengthof(answers); i++)
	{
		if (answers[i])
			connection->answers_fingerprint = hash_combine64(connection->answers_fingerprint,
															 remote_settings_hash(answers[i]));
	}
	hash = hash_combine64(hash, connection->answers_fingerprint);
	for (const char *name = next_name(&connection->login_settings, NULL); name;
		 name = next_name(&connection->login_settings, name))
	{
		const char *value = GetConfigOption(name, true, false);

		if (value)
			hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) value,
															strlen(value), 2));
	}
	return hash | 1;			/* 0: none is known */
}

/* A hash of one setting and its value. */
uint64
remote_settings_hash(const struct config_generic *setting)
{
	uint64		value = 0;

	switch (setting->vartype)
	{
		case PGC_BOOL:
			value = *((const struct config_bool *) setting)->variable;
			break;
		case PGC_INT:
			value = *((const struct config_int *) setting)->variable;
			break;
		case PGC_ENUM:
			value = *((const struct config_enum *) setting)->variable;
			break;
		case PGC_REAL:
			memcpy(&value, ((const struct config_real *) setting)->variable, sizeof(double));
			break;
		case PGC_STRING:
			{
				const char *text = *((const struct config_string *) setting)->variable;

				if (text)
					value = hash_bytes_extended((const unsigned char *) text, strlen(text), 1);
				break;
			}
	}
	return hash_combine64(value, (uint64) (uintptr_t) setting);
}

/* Our own settings, as name, 0, value, 0. */
static void
collect_settings(StringInfo settings, const RemoteConnection *connection)
{
	int			num;
	struct config_generic **all = compat_guc_variables(&num);

	for (int i = 0; i < num; i++)
	{
		if (carried_over(all[i]))
			add_setting(settings, all[i]->name, "");
	}
	for (int i = 0; i < lengthof(answer_settings); i++)
		add_setting(settings, answer_settings[i], NULL);
	for (const char *name = next_name(&connection->login_settings, NULL); name;
		 name = next_name(&connection->login_settings, name))
	{
		if (!is_own(name) && find_setting(settings, name) == NULL && may_set(name))
			add_setting(settings, name, "");
	}
}

/*
 * Append the settings of a session that serves ours: its role, and that it is
 * none of a client that asks for anything by itself, or is to be warned again of
 * what it was warned of here.  The check interval bounds
 * how long a statement goes on over there after we have closed the connection;
 * timeouts are this server's business.
 */
static void
add_session(StringInfo settings, const RemoteConnection *connection)
{
	appendStringInfo(settings, "role%c%s%c", 0, role_there(connection), 0);
	appendStringInfo(settings, "escape_string_warning%coff%c", 0, 0);
	appendStringInfo(settings, "client_connection_check_interval%c500%c", 0, 0);
	appendStringInfo(settings, "default_transaction_deferrable%coff%c", 0, 0);
	appendStringInfo(settings, "default_transaction_isolation%cread committed%c", 0, 0);
	appendStringInfo(settings, "default_transaction_read_only%coff%c", 0, 0);
	appendStringInfo(settings, "statement_timeout%c0%c", 0, 0);
	appendStringInfo(settings, "idle_session_timeout%c%d%c", 0,
					 connection_idle_timeout(connection), 0);
	appendStringInfo(settings, "consistency.report_token%con%c", 0, 0);
	appendStringInfo(settings, "consistency.routing%coff%c", 0, 0);
}

/* The role as it is to be set there: in the client's word for it, if it has one. */
static const char *
role_there(const RemoteConnection *connection)
{
	Oid			role = GetUserId();
	const char *name = GetConfigOption("role", true, false);

	if (name && strcmp(name, "none") != 0 && get_role_oid(name, true) == role)
		return name;
	return role == connection->login ? "none" : GetUserNameFromId(role, false);
}

/* Append the settings that say what the statement is promised. */
static void
add_promise(StringInfo settings, const RemotePromise *promise)
{
	appendStringInfo(settings, "consistency%c%s%c", 0, promise->level, 0);
	appendStringInfo(settings, "consistency.bounded_keeps_session%c%s%c", 0,
					 promise->keeps_session ? "on" : "off", 0);
	appendStringInfo(settings, "consistency.max_staleness%c%d%c", 0, promise->max_staleness_ms, 0);
	appendStringInfo(settings, "consistency.max_lag%c%d%c", 0, promise->max_lag, 0);
	appendStringInfo(settings, "consistency.on_timeout%c%s%c", 0, promise->on_timeout, 0);
	appendStringInfo(settings, "consistency.require_leader_fence%c%s%c", 0,
					 promise->require_fence ? "on" : "off", 0);
	appendStringInfo(settings, "consistency.read_quorum%c%s%c", 0, promise->read_quorum, 0);
	appendStringInfo(settings, "consistency.wait_timeout%c%d%c", 0, promise->wait_timeout_ms, 0);
}

/*
 * Was it set for this session, role or database (an application's own setting:
 * anywhere), and can the current role set it?
 */
static bool
carried_over(const struct config_generic *setting)
{
	/*
	 * One of an application's own that was reset is the empty string here,
	 * but doesn't exist in a session that never heard of it.
	 */
	GucSource	lowest = (setting->flags & GUC_CUSTOM_PLACEHOLDER) ?
	PGC_S_DEFAULT : PGC_S_GLOBAL;

	if (setting->source < lowest || setting->source == PGC_S_OVERRIDE)
		return false;
	if (setting->context != PGC_USERSET &&
		(setting->source != PGC_S_SESSION || !may_set(setting->name)))
		return false;
	return !is_own(setting->name) &&
		!listed(setting->name, answer_settings, lengthof(answer_settings));
}

/*
 * Is it none that is carried over?  As whom it counts is the session's, as data
 * are; and so is who must have what it writes.
 */
static bool
is_own(const char *name)
{
	if (listed(name, carried_settings, lengthof(carried_settings)))
		return false;
	return strncmp(name, "consistency", strlen("consistency")) == 0 ||
		listed(name, own_settings, lengthof(own_settings));
}

/* Append what it has and the current role can't set: it has that here as well. */
static void
keep_restricted(StringInfo settings, const RemoteConnection *connection)
{
	const StringInfoData *names = &connection->restricted_settings;

	for (const char *name = next_name(names, NULL); name; name = next_name(names, name))
	{
		const char *value = find_setting(&connection->settings, name);

		if (value && !may_set(name) && find_setting(settings, name) == NULL)
		{
			appendBinaryStringInfo(settings, name, strlen(name) + 1);
			appendBinaryStringInfo(settings, value, strlen(value) + 1);
		}
	}
}

/* Append a setting; where it has no value, this one, or nothing for NULL. */
static void
add_setting(StringInfo settings, const char *name, const char *otherwise)
{
	const char *value = GetConfigOption(name, true, false);

	if (value == NULL)
		value = otherwise;
	if (value == NULL)
		return;
	appendBinaryStringInfo(settings, name, strlen(name) + 1);
	appendBinaryStringInfo(settings, value, strlen(value) + 1);
}

/*
 * Append one set_config() call; the connection's encoding is still the old one.
 * Value NULL: back to the default.
 */
static void
add_change(RemoteSettingsChange *change, StringInfo sql, const RemoteConnection *connection,
		   const char *name, const char *value)
{
	int			encoding = PQclientEncoding(connection->conn);	/* still the old one */

	appendStringInfo(sql, "%s pg_catalog.set_config($%d, $%d, %s)",
					 change->nvalues == 0 ? "SELECT" : ",",
					 change->nvalues + 1, change->nvalues + 2,
					 connection->pooled ? "true" : "false");
	if (change->values == NULL)
		change->values = palloc(sizeof(char *) * 2);
	else
		change->values = repalloc(change->values, sizeof(char *) * (change->nvalues + 2));
	change->values[change->nvalues++] = pstrdup(name);
	/* which may be the value itself, of which the caller has the memory */
	change->values[change->nvalues++] = value ?
		pstrdup(pg_server_to_any(value, strlen(value), encoding)) : NULL;
}

/*
 * What was sent for a session's sake goes back to its default; where nothing is
 * known of what the other side has, so does whatever was ever sent.
 */
static void
add_resets(RemoteSettingsChange *change, StringInfo sql, const RemoteConnection *connection,
		   const StringInfoData *wanted)
{
	const StringInfoData *had = &connection->settings;
	const StringInfoData *names = &connection->setting_names;

	for (const char *name = next_name(names, NULL); name; name = next_name(names, name))
	{
		if (find_setting(wanted, name) == NULL &&
			(had->len == 0 || find_setting(had, name) != NULL) && may_set(name))
			add_change(change, sql, connection, name, NULL);
	}
}

/* Can the current role set it?  If not, it stays there, as it does here. */
static bool
may_set(const char *name)
{
	GucContext	context = context_of(name);

	return context == PGC_USERSET ||
		(context == PGC_SUSET &&
		 pg_parameter_aclcheck(name, GetUserId(), ACL_SET) == ACLCHECK_OK);
}

/* Who may set a setting?  One that isn't known is an application's. */
static GucContext
context_of(const char *name)
{
	int			num;
	struct config_generic **all = compat_guc_variables(&num);

	for (int i = 0; i < num; i++)
	{
		if (strcmp(all[i]->name, name) == 0)
			return all[i]->context;
	}
	return PGC_USERSET;
}

/* Add a name to a list, if it isn't there. */
static void
note_name(StringInfo names, const char *name)
{
	if (!find_name(names, name))
		appendBinaryStringInfo(names, name, strlen(name) + 1);
}

/* The value of a setting; NULL if it isn't there. */
static const char *
find_setting(const StringInfoData *settings, const char *name)
{
	for (const char *p = next_setting(settings, NULL); p; p = next_setting(settings, p))
	{
		if (strcmp(p, name) == 0)
			return p + strlen(p) + 1;
	}
	return NULL;
}

/* The name after this one (NULL: the first); NULL at the end. */
static const char *
next_setting(const StringInfoData *settings, const char *name)
{
	const char *next = settings->data;

	if (name)
	{
		next = name + strlen(name) + 1;
		next += strlen(next) + 1;
	}
	return next < settings->data + settings->len ? next : NULL;
}

/* The same in a list of names alone. */
static const char *
next_name(const StringInfoData *names, const char *name)
{
	const char *next = name ? name + strlen(name) + 1 : names->data;

	return next < names->data + names->len ? next : NULL;
}

static bool
find_name(const StringInfoData *names, const char *name)
{
	for (const char *p = next_name(names, NULL); p; p = next_name(names, p))
	{
		if (strcmp(p, name) == 0)
			return true;
	}
	return false;
}

static bool
listed(const char *name, const char *const *list, int length)
{
	for (int i = 0; i < length; i++)
	{
		if (strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}
