/*-------------------------------------------------------------------------
 *
 * attach_check.h
 *	  What keeps a table from converging.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ATTACH_CHECK_H
#define CONSISTENCY_ATTACH_CHECK_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

typedef struct AttachProblem
{
	const char *kind;			/* as in attach's argument "accept"; NULL:
								 * can't be accepted */
	const char *problem;		/* a sentence without a period */
	const char *mend;			/* a sentence */
} AttachProblem;

/* what consistency.attach() was told, as the trigger keeps it */
extern bool attach_check_can_accept(const char *kind);
extern void attach_check_declaration(Relation relation, Jsonb *declaration);
extern List *attach_check_table(Relation relation, Jsonb *declaration);

#endif							/* CONSISTENCY_ATTACH_CHECK_H */
