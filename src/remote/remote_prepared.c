/*-------------------------------------------------------------------------
 *
 * remote_prepared.c
 *	  Statements that are kept prepared over a connection.
 *
 * A text is only prepared when it comes again: most texts with literals in them
 * never do.  What these mean is settled then, by DateStyle or
 * standard_conforming_strings for instance: the statement is one for these
 * settings.
 *
 * PostgreSQL doesn't let a prepared statement change its columns.  Nobody over
 * here has prepared ours, so that must not be noticed: when a table changes, all
 * are given up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/inval.h"

#include "remote/remote_prepared.h"

/* statements kept on one connection */
#define MAX_STATEMENTS 256

/* how often some table, or perhaps one, has changed since this process began */
static uint64 table_changes = 0;

static void make_table(RemoteConnection *connection);
static RemotePrepared *note(RemoteConnection *connection, uint64 key);
static void count_change(Datum arg, Oid relation);

/*
 * remote_prepared_find
 *		The entry of a text that this connection has seen before; NULL if it is
 *		new, or there are too many.
 */
RemotePrepared *
remote_prepared_find(RemoteConnection *connection, const char *sql, const Oid *param_types, int nparams)
{
	uint64		key;
	RemotePrepared *prepared;

	if (connection->pooled)
		return NULL;
	if (connection->statements == NULL)
		make_table(connection);
	key = hash_bytes_extended((const unsigned char *) sql, strlen(sql),
							  connection->answers_fingerprint);
	key = hash_bytes_extended((const unsigned char *) param_types, sizeof(Oid) * nparams, key);
	prepared = hash_search(connection->statements, &key, HASH_FIND, NULL);
	if (prepared == NULL)
		(void) note(connection, key);
	return prepared;
}

/* Its name over there. */
char *
remote_prepared_name(const RemotePrepared *prepared, char *buf)
{
	snprintf(buf, REMOTE_PREPARED_NAME_SIZE, "consistency_%u", prepared->number);
	return buf;
}

/* The other side has it now. */
void
remote_prepared_is_there(RemoteConnection *connection, uint64 key)
{
	RemotePrepared *prepared = hash_search(connection->statements, &key, HASH_FIND, NULL);

	if (prepared)
		prepared->there = true;
}

/*
 * remote_prepared_drop_outdated
 *		Forget the statements if a table has changed since they were prepared.
 *		True if the other side has to forget them, too.
 */
bool
remote_prepared_drop_outdated(RemoteConnection *connection)
{
	if (connection->statements == NULL || connection->statements_as_of == table_changes)
		return false;
	hash_destroy(connection->statements);
	connection->statements = NULL;
	return true;
}

static void
make_table(RemoteConnection *connection)
{
	static bool follows_changes = false;
	HASHCTL		ctl = {0};

	if (!follows_changes)
		CacheRegisterRelcacheCallback(count_change, (Datum) 0);
	follows_changes = true;

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(RemotePrepared);
	connection->statements = hash_create("consistency statements", 16, &ctl,
										 HASH_ELEM | HASH_BLOBS);
	connection->statements_as_of = table_changes;
}

/* Remember a text; where there are too many, at the cost of those seen once. */
static RemotePrepared *
note(RemoteConnection *connection, uint64 key)
{
	RemotePrepared *prepared;

	if (hash_get_num_entries(connection->statements) >= MAX_STATEMENTS)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, connection->statements);
		while ((prepared = hash_seq_search(&status)) != NULL)
		{
			if (!prepared->there)
				hash_search(connection->statements, &prepared->key, HASH_REMOVE, NULL);
		}
	}
	if (hash_get_num_entries(connection->statements) >= MAX_STATEMENTS)
		return NULL;
	prepared = hash_search(connection->statements, &key, HASH_ENTER, NULL);
	prepared->number = connection->next_statement++;
	prepared->there = false;
	return prepared;
}

static void
count_change(Datum arg, Oid relation)
{
	table_changes++;
}
