/*-------------------------------------------------------------------------
 *
 * guard_option.h
 *	  Options of tables that a trigger keeps, and is.
 *
 * The trigger's arguments are the option's fields, name and value by turns.  So
 * it is dumped, restored and dropped with the table, and needs no catalog.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_GUARD_OPTION_H
#define CONSISTENCY_GUARD_OPTION_H

#include "commands/trigger.h"
#include "utils/rel.h"

typedef struct GuardOption
{
	const char *what;			/* for messages: "ownership" */
	const char *trigger;		/* name of the row trigger */
	const char *truncate_trigger;	/* of that against TRUNCATE; NULL: none */
	const char *function;		/* that both call, qualified */
	const char *events;			/* that the row trigger is for */
	const char *set_function;	/* that sets it, for hints */
	const char *drop_function;	/* that drops it */
} GuardOption;

typedef struct GuardOptionField
{
	const char *name;
	const char *value;
} GuardOptionField;

extern Relation guard_option_open(Oid relid);
extern void guard_option_set(const GuardOption *option, Oid relid,
							 const GuardOptionField *fields, int nfields);
extern bool guard_option_drop(const GuardOption *option, Oid relid);
extern const char *guard_option_field(const Trigger *trigger, const char *name);
extern void guard_option_damaged(const GuardOption *option, const TriggerData *trigdata)
			pg_attribute_noreturn();
extern TriggerData *guard_option_trigdata(FunctionCallInfo fcinfo, const GuardOption *option);
extern char *guard_option_relation_name(Oid relid);
extern char *guard_option_text_argument(FunctionCallInfo fcinfo, int number, const char *name);
extern AttrNumber guard_option_column(Relation relation, const char *name);

#endif							/* CONSISTENCY_GUARD_OPTION_H */
