/*-------------------------------------------------------------------------
 *
 * member.c
 *	  Who this database is among the members of a group.
 *
 * A member has one name, by which all members call it: the other ones declare
 * it as a foreign server of that name, and it says its own itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/guc.h"

#include "converge/member.h"

static char *setting = "";

/* Define the setting, preloaded or not. */
void
member_init(void)
{
	/* set by administrators, for the server or a database */
	DefineCustomStringVariable("consistency.member",
							   "Name of this database among the members of its group.",
							   "The other members declare a server of that name.",
							   &setting,
							   "",
							   PGC_SUSET, 0,
							   NULL, NULL, NULL);
}

/* This member's name; an empty string if it has none. */
const char *
member_name(void)
{
	return setting ? setting : "";
}

/* The server by which another member is declared here; invalid: by none. */
Oid
member_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL ||
		strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, MEMBER_FDW_NAME) != 0)
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
				 errhint("Set consistency.member to the name by which the other members know it.")));
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
						 MEMBER_FDW_NAME)));
}
