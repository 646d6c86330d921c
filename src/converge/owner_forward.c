/*-------------------------------------------------------------------------
 *
 * owner_forward.c
 *	  Changes of rows that are sent to their owner.
 *
 * The row's trigger comes upon a row that isn't ours: the change is made at the
 * owner instead, and comes back by replication.  What the change was computed
 * from is what is known of the row here, and that may be old by then.  So an
 * UPDATE or DELETE asks for all of the row to be at the owner as it is here, and
 * fails otherwise: nothing that the owner, or a statement of our own, has written
 * in between is overwritten.  Rows are compared by their texts, in canonical
 * form at both ends: types need no equality for that, and whatever their bytes
 * are, it means the same.
 *
 * The statement here changes no such row, and would not count it.  What its
 * owner has changed is added to its count, so that clients which look at that
 * see what was done.  There is nothing to return for RETURNING, and no way to
 * tell other counts apart: such statements are refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "converge/guard_option.h"
#include "converge/key_operator.h"
#include "converge/member.h"
#include "converge/owner_forward.h"
#include "converge/owner_transaction.h"
#include "converge/row_text.h"
#include "core/compat.h"
#include "core/errors.h"

/* A statement that is being run here, and writes */
typedef struct WritingStatement
{
	QueryDesc  *query;
	uint64		forwarded;		/* rows that their owners have changed */
	struct WritingStatement *outer;
} WritingStatement;

/* The text of a statement for an owner, as it grows */
typedef struct ForwardText
{
	StringInfoData sql;
	const char **values;
	int			nvalues;
} ForwardText;

static WritingStatement *innermost = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;

static void count_forwarded(EXECUTOR_RUN_ARGS_DECL);
static void run_statement(EXECUTOR_RUN_ARGS_DECL);
static void check_statement(const TriggerData *trigdata, const char *owner);
static const char *reason_to_refuse(const TriggerData *trigdata);
static Oid	named_table(void);
static void insert_text(ForwardText *text, const TriggerData *trigdata);
static void update_text(ForwardText *text, const TriggerData *trigdata);
static void delete_text(ForwardText *text, const TriggerData *trigdata);
static void append_where(ForwardText *text, const TriggerData *trigdata);
static void append_key(ForwardText *text, const TriggerData *trigdata, Oid index);
static void append_image(ForwardText *text, const TriggerData *trigdata);
static void append_value(ForwardText *text, const TriggerData *trigdata, HeapTuple row,
						 AttrNumber attnum);
static bool is_written(const TriggerData *trigdata, AttrNumber attnum);
static Oid	primary_key(Relation relation);

/* Follow statements that write. */
void
owner_forward_init(void)
{
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = count_forwarded;
}

/* Run a statement; what was forwarded of it is part of its count. */
static void
count_forwarded(EXECUTOR_RUN_ARGS_DECL)
{
	WritingStatement statement = {.query = queryDesc,.outer = innermost};

	if (queryDesc->operation == CMD_SELECT && !queryDesc->plannedstmt->hasModifyingCTE)
	{
		run_statement(EXECUTOR_RUN_ARGS);
		return;
	}
	innermost = &statement;
	PG_TRY();
	{
		run_statement(EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		innermost = statement.outer;
	}
	PG_END_TRY();
	queryDesc->estate->es_processed += statement.forwarded;
}

static void
run_statement(EXECUTOR_RUN_ARGS_DECL)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGS);
}

/* An error unless rows of a table can be forwarded. */
void
owner_forward_check(Relation relation)
{
	errors_require_preload("elsewhere => 'forward'");
	if (!OidIsValid(primary_key(relation)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key", RelationGetRelationName(relation)),
				 errdetail("The owner could not be told which row a change is for."),
				 errhint("Add a primary key, or use elsewhere => 'refuse'.")));
}

/*
 * owner_forward_row
 *		Have a row's owner make the change that a trigger was called for; an error
 *		unless it does.
 */
void
owner_forward_row(const TriggerData *trigdata, const char *owner)
{
	ForwardText text = {0};
	OwnerStatement statement;
	int			nesting;
	Oid			serverid;

	check_statement(trigdata, owner);
	member_require_known(owner);
	serverid = member_server(owner);

	initStringInfo(&text.sql);
	text.		values = palloc0(sizeof(char *) * (2 * RelationGetDescr(trigdata->tg_relation)->natts + 1));

	nesting = row_text_settings();
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		insert_text(&text, trigdata);
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		update_text(&text, trigdata);
	else
		delete_text(&text, trigdata);
	row_text_settings_end(nesting);

	statement.sql = text.sql.data;
	statement.nvalues = text.nvalues;
	statement.values = text.values;

	if (owner_transaction_run(serverid, owner, &statement) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("row of table \"%s\" is not the same at its owner, member \"%s\"",
						RelationGetRelationName(trigdata->tg_relation), owner),
				 errdetail("It was changed there meanwhile, perhaps by an earlier statement of this transaction, or may not be seen or changed there."),
				 errhint("Retry when the change has been replicated to this member."),
				 errtable(trigdata->tg_relation)));
	innermost->forwarded += innermost->query->plannedstmt->canSetTag;
}

/* Can the statement be told honestly what becomes of it? */
static void
check_statement(const TriggerData *trigdata, const char *owner)
{
	const char *reason;

	errors_require_preload("forwarding a write to the row's owner");
	reason = reason_to_refuse(trigdata);
	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("row of table \"%s\" cannot be forwarded to its owner, member \"%s\"",
						RelationGetRelationName(trigdata->tg_relation), owner),
				 errdetail_internal("%s", reason),
				 errhint("Write it at member \"%s\", or use another kind of statement.", owner),
				 errtable(trigdata->tg_relation)));
}

/* Why a row can't be forwarded that is written like this; NULL: it can. */
static const char *
reason_to_refuse(const TriggerData *trigdata)
{
	const PlannedStmt *stmt;

	if (InNoForceRLSOperation())
		return _("It is changed by the action of a foreign key.");
	if (innermost == NULL)
		return _("It is written by COPY.");
	stmt = innermost->query->plannedstmt;
	if (!IsA(stmt->planTree, ModifyTable) || stmt->hasModifyingCTE)
		return _("The statement has a WITH query that writes.");
	if (!list_member_oid(stmt->relationOids, named_table()))
		return _("It is written by COPY.");
	if (stmt->hasReturning)
		return _("The statement has a RETURNING clause.");
	if (castNode(ModifyTable, stmt->planTree)->onConflictAction != ONCONFLICT_NONE)
		return _("The statement has an ON CONFLICT clause.");
	return NULL;
}

/* The table that the statement names: of a partition's row, that may be a parent. */
static Oid
named_table(void)
{
	const PlannedStmt *stmt = innermost->query->plannedstmt;
	const ModifyTable *plan = castNode(ModifyTable, stmt->planTree);

	return rt_fetch(plan->nominalRelation, stmt->rtable)->relid;
}

static void
insert_text(ForwardText *text, const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfo(&text->sql, "INSERT INTO %s (", guard_option_relation_name(named_table()));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->attgenerated != '\0')
			continue;
		append_value(text, trigdata, trigdata->tg_trigtuple, i + 1);
		appendStringInfo(&text->sql, "%s%s", text->nvalues > 1 ? ", " : "",
						 quote_identifier(NameStr(attribute->attname)));
		appendStringInfo(&list, "%s$%d", text->nvalues > 1 ? ", " : "", text->nvalues);
	}
	/* what was generated here is that which goes there */
	appendStringInfo(&text->sql, ") OVERRIDING SYSTEM VALUE VALUES (%s)", list.data);
}

/* Only what the statement sets, or has changed: the owner may have triggers. */
static void
update_text(ForwardText *text, const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	appendStringInfo(&text->sql, "UPDATE %s AS t SET ",
					 guard_option_relation_name(named_table()));
	for (int i = 0; i < desc->natts; i++)
	{
		if (!is_written(trigdata, i + 1))
			continue;
		append_value(text, trigdata, trigdata->tg_newtuple, i + 1);
		appendStringInfo(&text->sql, "%s%s = $%d", text->nvalues > 1 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)),
						 text->nvalues);
	}
	append_where(text, trigdata);
}

static void
delete_text(ForwardText *text, const TriggerData *trigdata)
{
	appendStringInfo(&text->sql, "DELETE FROM %s AS t",
					 guard_option_relation_name(named_table()));
	append_where(text, trigdata);
}

/* The row, as it is known here. */
static void
append_where(ForwardText *text, const TriggerData *trigdata)
{
	Oid			key = primary_key(trigdata->tg_relation);

	if (!OidIsValid(key))
		owner_forward_check(trigdata->tg_relation);
	appendStringInfoString(&text->sql, " WHERE ");
	append_key(text, trigdata, key);
	append_image(text, trigdata);
}

static void
append_key(ForwardText *text, const TriggerData *trigdata, Oid index)
{
	Relation	relation = relation_open(index, AccessShareLock);
	const Form_pg_index form = relation->rd_index;

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	attnum = form->indkey.values[i];

		append_value(text, trigdata, trigdata->tg_trigtuple, attnum);
		appendStringInfo(&text->sql, "t.%s %s $%d AND ",
						 quote_identifier(get_attname(RelationGetRelid(trigdata->tg_relation),
													  attnum, false)),
						 key_operator_name(relation, i), text->nvalues);
	}
	relation_close(relation, AccessShareLock);
}

/* All of its columns, as one text. */
static void
append_image(ForwardText *text, const TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	const char *separator = "";

	appendStringInfoString(&text->sql, "ROW(");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		appendStringInfo(&text->sql, "%st.%s", separator,
						 quote_identifier(NameStr(attribute->attname)));
		separator = ", ";
	}
	text	  ->values[text->nvalues++] =
	OidOutputFunctionCall(F_RECORD_OUT, heap_copy_tuple_as_datum(trigdata->tg_trigtuple, desc));

	appendStringInfo(&text->sql, ")::text = $%d", text->nvalues);
}

/* One more value: that of a row's column. */
static void
append_value(ForwardText *text, const TriggerData *trigdata, HeapTuple row, AttrNumber attnum)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	bool		isnull;
	Datum		value = heap_getattr(row, attnum, desc, &isnull);
	Oid			output;
	bool		is_varlena;

	if (!isnull)
	{
		getTypeOutputInfo(TupleDescAttr(desc, attnum - 1)->atttypid, &output, &is_varlena);
		text	  ->values[text->nvalues] = OidOutputFunctionCall(output, value);
	}
	text	  ->nvalues++;
}

/* Does an update set a column, or change it by a trigger? */
static bool
is_written(const TriggerData *trigdata, AttrNumber attnum)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
	bool		old_isnull;
	bool		new_isnull;
	Datum		old_value;
	Datum		new_value;

	if (attribute->attisdropped || attribute->attgenerated != '\0')
		return false;
	if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, trigdata->tg_updatedcols))
		return true;
	old_value = heap_getattr(trigdata->tg_trigtuple, attnum, desc, &old_isnull);
	new_value = heap_getattr(trigdata->tg_newtuple, attnum, desc, &new_isnull);
	return old_isnull != new_isnull ||
		(!old_isnull && !datum_image_eq(old_value, new_value, attribute->attbyval,
										attribute->attlen));
}

/* The table's primary key; invalid if it has none. */
static Oid
primary_key(Relation relation)
{
	list_free(RelationGetIndexList(relation));	/* finds it */
	return relation->rd_pkindex;
}
