/*-------------------------------------------------------------------------
 *
 * member.c
 *	  Who this database is among the members of a group.
 *
 * A member has one name, by which all members call it: the other ones declare
 * it as a foreign server of that name, and it has learnt its own when it joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "foreign/foreign.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "converge/member.h"
#include "core/compat.h"
#include "core/extension.h"

/* consistency.groups, and its column */
#define GROUPS_NAME "groups"
#define GROUPS_MEMBER 2

static char *setting = "";

static void look_up(char *name);

/* Define the setting, preloaded or not. */
void
member_init(void)
{
	/* set by administrators, for a database that is in no group */
	DefineCustomStringVariable("consistency.member",
							   "Name of this database among the members that write its tables.",
							   "An empty string is its name in the group that it has joined.",
							   &setting,
							   "",
							   PGC_SUSET, 0,
							   NULL, NULL, NULL);
}

/*
 * member_name
 *		This member's name; an empty string if it has none.
 *
 * That in its group is looked up once a transaction: triggers ask for each row.
 */
const char *
member_name(void)
{
	static char in_group[NAMEDATALEN];
	static LocalTransactionId known_in = InvalidLocalTransactionId;

	if (setting && setting[0] != '\0')
		return setting;
	if (known_in != COMPAT_MY_LXID)
	{
		look_up(in_group);
		known_in = COMPAT_MY_LXID;
	}
	return in_group;
}

/* The name in the group; none where several groups know it by other names. */
static void
look_up(char *name)
{
	Relation	relation = table_open(extension_relation(GROUPS_NAME), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool		first = true;

	name[0] = '\0';
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		char	   *member = TextDatumGetCString(slot_getattr(slot, GROUPS_MEMBER, &isnull));

		if (!first && strcmp(member, name) != 0)
			member[0] = '\0';
		strlcpy(name, member, NAMEDATALEN);
		first = false;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
}

/* The server by which another member is declared here; invalid: by none. */
Oid
member_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL ||
		strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, EXTENSION_PEER_FDW_NAME) != 0)
		return InvalidOid;
	return server->serverid;
}

/* Raise an error unless this member has a name. */
void
member_require_name(void)
{
	if (member_name()[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database does not know which member it is"),
				 errhint("Join a group with consistency.join_group(), or set consistency.member to the name by which the other members know it.")));
}

/* Raise an error unless a member of that name is known here. */
void
member_require_known(const char *name)
{
	member_require_name();
	if (strcmp(name, member_name()) != 0 && !OidIsValid(member_server(name)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no member \"%s\" is known here", name),
				 errdetail("This is member \"%s\".", member_name()),
				 errhint("Members are declared with CREATE SERVER name FOREIGN DATA WRAPPER %s.",
						 EXTENSION_PEER_FDW_NAME)));
}
