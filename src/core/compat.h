/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Every difference between PostgreSQL versions that matters to us.
 *
 * The rest of the tree is written against the newest form; here it is mapped
 * to what the older servers have.  No other file looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_COMPAT_H
#define CONSISTENCY_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "consistency supports PostgreSQL 15 to 18"
#endif

#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/executor.h"
#include "libpq/libpq.h"
#include "parser/analyze.h"
#include "replication/message.h"
#include "replication/walsender_private.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

/* 18 dropped execute_once from the run hook; 15 to 17 pass it on. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_ARGS_DECL \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGS queryDesc, direction, count
#else
#define EXECUTOR_RUN_ARGS_DECL \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#endif

/* 17 names wait events of extensions; before, they share one name. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_WAIT_EVENT(name) WaitEventExtensionNew(name)
#else
#define COMPAT_WAIT_EVENT(name) PG_WAIT_EXTENSION
#endif

#if PG_VERSION_NUM >= 170000
#define COMPAT_WAIT_BUFFER_PIN PG_WAIT_BUFFERPIN
#else
#define COMPAT_WAIT_BUFFER_PIN PG_WAIT_BUFFER_PIN
#endif

/* 17 can ask for stronger locks as well. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_LOCK_HELD_BY_ME(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define COMPAT_LOCK_HELD_BY_ME(tag, mode) LockHeldByMe(tag, mode)
#endif

/* 17 ties wait event sets to a resource owner; ours live as long as the process. */
static inline WaitEventSet *
compat_create_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* 16 has renamed what says which file a relation is in. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_FILE_NUMBER(relation) ((relation)->rd_locator.relNumber)
#else
#define COMPAT_FILE_NUMBER(relation) ((relation)->rd_node.relNode)
#endif

/* 17 moved the virtual transaction id into a struct. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_MY_LXID (MyProc->vxid.lxid)
#else
#define COMPAT_MY_LXID (MyProc->lxid)
#endif

/* 16 keeps permissions apart from the range table, 18 which entries are left of it. */
static inline void
compat_init_range_table(EState *estate, Relation relation)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);
#if PG_VERSION_NUM >= 160000
	List	   *permissions = NIL;
#endif

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&permissions, entry);
#endif
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(entry), permissions, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, list_make1(entry), permissions);
#else
	ExecInitRangeTable(estate, list_make1(entry));
#endif
}

/* 16 wants to know which tables are changed. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_EVAL_PLAN_QUAL_INIT(recheck, estate) EvalPlanQualInit(recheck, estate, NULL, NIL, -1, NIL)
#else
#define COMPAT_EVAL_PLAN_QUAL_INIT(recheck, estate) EvalPlanQualInit(recheck, estate, NULL, NIL, -1)
#endif

/* 18 asks which row the tuple is already. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_CHECK_INDEX_CONSTRAINTS(info, slot, estate, conflict, indexes) \
	ExecCheckIndexConstraints(info, slot, estate, conflict, &(slot)->tts_tid, indexes)
#else
#define COMPAT_CHECK_INDEX_CONSTRAINTS(info, slot, estate, conflict, indexes) \
	ExecCheckIndexConstraints(info, slot, estate, conflict, indexes)
#endif

/* 18 can count what an index scan does. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_INDEX_BEGINSCAN(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define COMPAT_INDEX_BEGINSCAN(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* 18 can be asked for a primary key that isn't checked at once, too. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_PRIMARY_KEY_INDEX(relation) RelationGetPrimaryKeyIndex(relation, false)
#else
#define COMPAT_PRIMARY_KEY_INDEX(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/* 16 asks for rights on all kinds of objects by the same functions. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_OWNS_RELATION(id, role) object_ownercheck(RelationRelationId, id, role)
#define COMPAT_FUNCTION_ACLCHECK(id, role) object_aclcheck(ProcedureRelationId, id, role, ACL_EXECUTE)
#else
#define COMPAT_OWNS_RELATION(id, role) pg_class_ownercheck(id, role)
#define COMPAT_FUNCTION_ACLCHECK(id, role) pg_proc_aclcheck(id, role, ACL_EXECUTE)
#endif

/* 16 can report errors in a name without raising them. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_QUALIFIED_NAME_LIST(text) stringToQualifiedNameList(text, NULL)
#else
#define COMPAT_QUALIFIED_NAME_LIST(text) stringToQualifiedNameList(text)
#endif

/* 17 can flush a logical message at once. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_LOG_LOGICAL_MESSAGE(prefix) LogLogicalMessage(prefix, "", 0, false, false)
#else
#define COMPAT_LOG_LOGICAL_MESSAGE(prefix) LogLogicalMessage(prefix, "", 0, false)
#endif

/* 16 hides the array of settings behind a function that copies it. */
static inline struct config_generic **
compat_guc_variables(int *num)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(num);
#else
	*num = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/* 16 and 17 added arguments to how a walreceiver connects. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_WALRCV_CONNECT_DECL \
	const char *conninfo, bool replication, bool logical, bool must_use_password, \
	const char *appname, char **err
#define COMPAT_WALRCV_CONNECT_ARGS conninfo, replication, logical, must_use_password, appname, err
#elif PG_VERSION_NUM >= 160000
#define COMPAT_WALRCV_CONNECT_DECL \
	const char *conninfo, bool logical, bool must_use_password, const char *appname, char **err
#define COMPAT_WALRCV_CONNECT_ARGS conninfo, logical, must_use_password, appname, err
#else
#define COMPAT_WALRCV_CONNECT_DECL \
	const char *conninfo, bool logical, const char *appname, char **err
#define COMPAT_WALRCV_CONNECT_ARGS conninfo, logical, appname, err
#endif

/* Minor releases have replaced a flag by a set of them.  Under SyncRepLock. */
static inline bool
compat_sync_standbys_defined(void)
{
#ifdef SYNC_STANDBY_DEFINED
	return (WalSndCtl->sync_standbys_status & SYNC_STANDBY_DEFINED) != 0;
#else
	return WalSndCtl->sync_standbys_defined;
#endif
}

/* 17 added an argument. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_F_EMIT_MESSAGE_TEXT F_PG_LOGICAL_EMIT_MESSAGE_BOOL_TEXT_TEXT_BOOL
#define COMPAT_F_EMIT_MESSAGE_BYTEA F_PG_LOGICAL_EMIT_MESSAGE_BOOL_TEXT_BYTEA_BOOL
#else
#define COMPAT_F_EMIT_MESSAGE_TEXT F_PG_LOGICAL_EMIT_MESSAGE_BOOL_TEXT_TEXT
#define COMPAT_F_EMIT_MESSAGE_BYTEA F_PG_LOGICAL_EMIT_MESSAGE_BOOL_TEXT_BYTEA
#endif

/* 17 lets the client's buffer tell how much it has. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_CLIENT_BUFFER_HAS_DATA() (pq_buffer_remaining_data() > 0)
#else
#define COMPAT_CLIENT_BUFFER_HAS_DATA() pq_buffer_has_data()
#endif

/*
 * Does a query need rights on a relation to do more than read?  16 moved them
 * out of the range table.
 */
static inline bool
compat_query_may_write(const Query *query)
{
	ListCell   *cell;

#if PG_VERSION_NUM >= 160000
	foreach(cell, query->rteperminfos)
	{
		if ((lfirst_node(RTEPermissionInfo, cell)->requiredPerms & ~ACL_SELECT) != 0)
			return true;
	}
#else
	foreach(cell, query->rtable)
	{
		if ((lfirst_node(RangeTblEntry, cell)->requiredPerms & ~ACL_SELECT) != 0)
			return true;
	}
#endif
	return false;
}

/* 16 keeps what settings remember in a memory context. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_GUC_MALLOC(size) guc_malloc(LOG, size)
#define COMPAT_GUC_FREE(pointer) guc_free(pointer)
#else
#define COMPAT_GUC_MALLOC(size) malloc(size)
#define COMPAT_GUC_FREE(pointer) free(pointer)
#endif

#endif							/* CONSISTENCY_COMPAT_H */
