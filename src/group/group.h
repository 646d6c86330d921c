/*-------------------------------------------------------------------------
 *
 * group.h
 *	  Groups of servers whose tables converge: members, and how they are asked.
 *
 * A member is a database of a cluster of its own.  Each one declares the others
 * as servers of the wrapper "consistency_peer", named as the members are, and
 * subscribes to each of them: every member sends to every other one.  What makes
 * up a group at a member are PostgreSQL's own objects:
 *
 *	publication		consistency_<group>
 *	subscription	consistency_<group>_<peer>
 *	its slot there	consistency_<group>_<own name>
 *
 * Whoever is told to change a group goes through all members, and asks each to do
 * its own part with its own rights (declare_member.c, subscribe_member.c,
 * leave_member.c); he asks himself in another session (own_session.c), so that
 * what a member has done is committed before the next one relies on it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_GROUP_H
#define CONSISTENCY_GROUP_H

#include "foreign/foreign.h"
#include "nodes/execnodes.h"

#include "node/node_catalog.h"
#include "remote/remote_error.h"

/* A row of texts; null is NULL */
typedef struct TextRow
{
	int			ncolumns;
	char	   *values[FLEXIBLE_ARRAY_MEMBER];
} TextRow;

/* group.c */
extern void group_check_names(const char *group, const char *member);
extern char *group_publication(const char *group);
extern char *group_subscription(const char *group, const char *peer);
extern char *group_slot(const char *group, const char *subscriber);
extern char *group_own_name(const char *group);
extern void group_lock(void);
extern void group_refuse_slot(const char *slot, const char *member, const char *database)
			pg_attribute_noreturn();
extern List *group_select(const char *query);
extern TextRow *group_select_row(const char *query);
extern TextRow *group_make_row(int ncolumns);
extern char *group_literal(const char *text);

/* peers.c */
extern Oid	peer_server(const char *name, NodeConnInfo *conninfo);
extern bool peer_is_trusted(const ForeignServer *server);
extern char *peer_conninfo(const NodeConnInfo *conninfo, bool redacted);
extern bool peer_query(Oid serverid, const char *query, List **rows, RemoteError *error);
extern List *peer_select(Oid serverid, const char *peer, const char *query);

/* own_session.c */
extern bool own_session_query(const char *query, List **rows, RemoteError *error);

/* member_command.c */

/* What a member does, and shows */
typedef struct MemberCommands
{
	ReturnSetInfo *rsinfo;		/* rows of member, command, result */
	const char *member;			/* that runs them: ourselves */
	bool		dry_run;		/* show them only */
} MemberCommands;

extern void member_commands_begin(MemberCommands *commands, FunctionCallInfo fcinfo,
								  const char *member, bool dry_run);
extern void member_command_run(const MemberCommands *commands, const char *command);
extern void member_command_run_secret(const MemberCommands *commands, const char *redacted,
									  const char *conninfo);
extern void member_command_run_alone(const MemberCommands *commands, const char *command);
extern List *member_command_at_peer(const MemberCommands *commands, Oid serverid,
									const char *peer, const char *command);
extern void member_command_show(const MemberCommands *commands, const char *member,
								const char *command, const char *result);

/* leave_member.c, for subscribe_member.c */
extern void leave_drop_subscription(const MemberCommands *commands, const char *subscription,
									bool enabled);

/* join_group.c, for leave_group.c */

/* A member as the one who asks sees it */
typedef struct GroupMember
{
	char	   *name;
	Oid			serverid;		/* InvalidOid: ourselves */
	bool		answers;
	char	   *system_identifier;	/* the others are set if it answers */
	char	   *database;
	char	   *own_name;		/* in the group; NULL: it isn't in it */
	char	   *wal_level;
	bool		in_recovery;
} GroupMember;

typedef struct GroupRun
{
	ReturnSetInfo *rsinfo;
	int			step;			/* rows shown so far */
	const char *group;
} GroupRun;

extern List *group_ask_members(GroupRun *run, const char *own_name);
extern bool group_ask_member(GroupRun *run, const GroupMember *member, const char *query);
extern void group_show(GroupRun *run, const char *member, const char *command,
					   const char *result);
extern void group_refuse_here(const char *what);

#endif							/* CONSISTENCY_GROUP_H */
