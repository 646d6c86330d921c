/*-------------------------------------------------------------------------
 *
 * remote_settings.c
 *	  Settings that a query must find at another node as it finds them here.
 *
 * Two kinds are carried over: those that change answers, always, since the
 * nodes' configuration files may differ; and whatever was set for this session,
 * its role or its database (applications keep their own settings there, for
 * row security policies among others).  Settings that only a superuser can set
 * are left out: the other side logs in as an ordinary role.
 *
 * The client's encoding goes along as well: text travels in it, see remote_row.h.
 * So does the current role, where that isn't the login.
 *
 * The connection remembers what the other side has.  As a rule nothing has
 * changed, and nothing is sent.  What was sent in a transaction that was rolled
 * back isn't there any more, but what had been there before is: then all is sent
 * anew, and whatever was ever sent and isn't wanted now is reset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "remote/remote_settings.h"

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
	"default_transaction_read_only", "idle_in_transaction_session_timeout",
	"idle_session_timeout", "role", "seed", "session_authorization", "statement_timeout",
	"tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval",
	"tcp_user_timeout", "transaction_deferrable", "transaction_isolation",
	"transaction_read_only", "transaction_timeout",
};

static uint64 settings_fingerprint(const RemoteConnection *connection,
								   const RemotePromise *promise);
static void add_session(StringInfo settings, const RemoteConnection *connection);
static void add_promise(StringInfo settings, const RemotePromise *promise);
static uint64 setting_hash(const struct config_generic *setting);
static void collect_settings(StringInfo settings);
static bool carried_over(const struct config_generic *setting);
static void add_setting(StringInfo settings, const char *name, const char *otherwise);
static void add_change(RemoteSettingsChange *change, StringInfo sql,
					   const RemoteConnection *connection, const char *name, const char *value);
static void add_resets(RemoteSettingsChange *change, StringInfo sql,
					   RemoteConnection *connection, const StringInfo wanted);
static void note_names(StringInfo names, const StringInfo settings);
static const char *find_setting(const StringInfo settings, const char *name);
static const char *next_setting(const StringInfo settings, const char *name);
static const char *next_name(const StringInfo names, const char *name);
static bool find_name(const StringInfo names, const char *name);
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

	initStringInfo(&wanted);
	collect_settings(&wanted);
	add_session(&wanted, connection);
	add_promise(&wanted, promise);

	initStringInfo(&sql);
	change->nvalues = 0;
	change->values = NULL;
	for (const char *name = next_setting(&wanted, NULL); name; name = next_setting(&wanted, name))
	{
		const char *value = find_setting(&wanted, name);
		const char *old = find_setting(had, name);

		if (old == NULL || strcmp(old, value) != 0)
			add_change(change, &sql, connection, name, value);
	}
	add_resets(change, &sql, connection, &wanted);

	resetStringInfo(had);
	appendBinaryStringInfo(had, wanted.data, wanted.len);
	note_names(&connection->setting_names, &wanted);
	change->sql = sql.data;
	pfree(wanted.data);
	return change->nvalues > 0;
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
}

/*
 * settings_fingerprint
 *		A hash of all that collect_settings() would collect, at less cost.
 */
static uint64
settings_fingerprint(const RemoteConnection *connection, const RemotePromise *promise)
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
	hash = hash_combine64(hash, (uint64) connection->login << 32 | GetUserId());
	hash = hash_combine64(hash, connection_idle_timeout(connection));

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
			hash = hash_combine64(hash, setting_hash(all[i]));
	}
	for (int i = 0; i < lengthof(answers); i++)
	{
		if (answers[i])
			hash = hash_combine64(hash, setting_hash(answers[i]));
	}
	return hash;
}

/* A hash of one setting and its value. */
static uint64
setting_hash(const struct config_generic *setting)
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

/* Our own settings, as name, 0, value, 0, in the order of their names. */
static void
collect_settings(StringInfo settings)
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
}

/*
 * Append the settings of a session that serves ours: its role, and that it is
 * none of a client that asks for anything by itself.  The check interval bounds
 * how long a statement goes on over there after we have closed the connection;
 * timeouts are this server's business.
 */
static void
add_session(StringInfo settings, const RemoteConnection *connection)
{
	Oid			role = GetUserId();
	const char *name = role == connection->login ? "none" : GetUserNameFromId(role, false);

	appendStringInfo(settings, "role%c%s%c", 0, name, 0);
	appendStringInfo(settings, "client_connection_check_interval%c500ms%c", 0, 0);
	appendStringInfo(settings, "statement_timeout%c0%c", 0, 0);
	appendStringInfo(settings, "idle_session_timeout%c%d%c", 0,
					 connection_idle_timeout(connection), 0);
	appendStringInfo(settings, "consistency.report_token%con%c", 0, 0);
	appendStringInfo(settings, "consistency.routing%coff%c", 0, 0);
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
	appendStringInfo(settings, "consistency.wait_timeout%c%d%c", 0, promise->wait_timeout_ms, 0);
}

/*
 * Was it set for this session, role or database (an application's own setting:
 * anywhere), and can an ordinary role set it?
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
	return setting->context == PGC_USERSET &&
		strncmp(setting->name, "consistency", strlen("consistency")) != 0 &&
		!listed(setting->name, own_settings, lengthof(own_settings)) &&
		!listed(setting->name, answer_settings, lengthof(answer_settings));
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
	change->values[change->nvalues++] = value ?
		pg_server_to_any(value, strlen(value), encoding) : NULL;
}

/*
 * What was sent for a session's sake goes back to its default; where nothing is
 * known of what the other side has, so does whatever was ever sent.
 */
static void
add_resets(RemoteSettingsChange *change, StringInfo sql, RemoteConnection *connection,
		   const StringInfo wanted)
{
	const StringInfo had = &connection->settings;
	const StringInfo names = &connection->setting_names;

	for (const char *name = next_name(names, NULL); name; name = next_name(names, name))
	{
		if (find_setting(wanted, name) == NULL &&
			(had->len == 0 || find_setting(had, name) != NULL))
			add_change(change, sql, connection, name, NULL);
	}
}

/* Add the names of settings to those that were ever sent. */
static void
note_names(StringInfo names, const StringInfo settings)
{
	for (const char *name = next_setting(settings, NULL); name; name = next_setting(settings, name))
	{
		if (!find_name(names, name))
			appendBinaryStringInfo(names, name, strlen(name) + 1);
	}
}

/* The value of a setting; NULL if it isn't there. */
static const char *
find_setting(const StringInfo settings, const char *name)
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
next_setting(const StringInfo settings, const char *name)
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
next_name(const StringInfo names, const char *name)
{
	const char *next = name ? name + strlen(name) + 1 : names->data;

	return next < names->data + names->len ? next : NULL;
}

static bool
find_name(const StringInfo names, const char *name)
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
