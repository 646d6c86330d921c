/*-------------------------------------------------------------------------
 *
 * level_text.c
 *	  Texts about what subtransactions have made.
 *
 * They go with a subtransaction that is rolled back, and become the outer one's
 * with one that is released.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "exec/level_text.h"

/* Add a text, which lives as long as the transaction, to a list. */
void
level_text_add(List **list, const char *text, int level)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	LevelText  *added = palloc(offsetof(LevelText, text) + strlen(text) + 1);

	added->level = level;
	strcpy(added->text, text);
	*list = lappend(*list, added);
	MemoryContextSwitchTo(old);
}

/* Forget what subtransactions from this level on have made. */
void
level_text_drop(List **list, int level)
{
	ListCell   *cell;

	foreach(cell, *list)
	{
		if (((LevelText *) lfirst(cell))->level >= level)
			*list = foreach_delete_current(*list, cell);
	}
}

/* What a subtransaction has made is now the outer one's. */
void
level_text_raise(List *list, int level)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		LevelText  *text = lfirst(cell);

		text	  ->level = Min(text->level, level - 1);
	}
}
