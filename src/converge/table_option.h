/*-------------------------------------------------------------------------
 *
 * table_option.h
 *	  Options of tables that a trigger keeps, and is.
 *
 * The trigger's arguments are the option's fields, name and value by turns.  So
 * it is dumped, restored and dropped with the table, and needs no catalog.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TABLE_OPTION_H
#define CONSISTENCY_TABLE_OPTION_H

#include "commands/trigger.h"
#include "utils/rel.h"

typedef struct TableOption
{
	const char *what;			/* for messages: "ownership" */
	const char *trigger;		/* name of the row trigger */
	const char *truncate_trigger;	/* of that against TRUNCATE; NULL: none */
	const char *function;		/* that both call, qualified */
	const char *events;			/* that the row trigger is for */
	const char *set_function;	/* that sets it, for hints */
	const char *drop_function;	/* that drops it */
} TableOption;

typedef struct TableOptionField
{
	const char *name;
	const char *value;
} TableOptionField;

extern Relation table_option_open(Oid relid);
extern void table_option_set(const TableOption *option, Oid relid,
							 const TableOptionField *fields, int nfields);
extern bool table_option_drop(const TableOption *option, Oid relid);
extern const char *table_option_field(const Trigger *trigger, const char *name);
extern void table_option_damaged(const TableOption *option, const TriggerData *trigdata)
			pg_attribute_noreturn();
extern TriggerData *table_option_trigdata(FunctionCallInfo fcinfo, const TableOption *option);
extern char *table_option_relation_name(Oid relid);
extern char *table_option_text_argument(FunctionCallInfo fcinfo, int number, const char *name);
extern AttrNumber table_option_column(Relation relation, const char *name);

#endif							/* CONSISTENCY_TABLE_OPTION_H */
