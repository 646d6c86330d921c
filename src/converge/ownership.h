/*-------------------------------------------------------------------------
 *
 * ownership.h
 *	  Rows and tables that one member alone may write.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_OWNERSHIP_H
#define CONSISTENCY_OWNERSHIP_H

#include "commands/trigger.h"

/* What a trigger says of its table */
typedef struct Ownership
{
	AttrNumber	column;			/* that names a row's owner; 0: see "owner" */
	const char *column_name;	/* NULL with column 0 */
	Oid			column_type;	/* that it is kept as: text, varchar or name */
	const char *owner;			/* of the whole table; NULL: see "column" */
	bool		forward;		/* a write elsewhere goes to the owner; else
								 * it is refused */
} Ownership;

extern bool ownership_guards(Relation relation);

#endif							/* CONSISTENCY_OWNERSHIP_H */
