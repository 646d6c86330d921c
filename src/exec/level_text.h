/*-------------------------------------------------------------------------
 *
 * level_text.h
 *	  Texts about what subtransactions have made.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_LEVEL_TEXT_H
#define CONSISTENCY_LEVEL_TEXT_H

#include "nodes/pg_list.h"

typedef struct LevelText
{
	int			level;			/* the subtransaction's; 1: the transaction's */
	char text[	FLEXIBLE_ARRAY_MEMBER];
} LevelText;

extern void level_text_add(List **list, const char *text, int level);
extern void level_text_drop(List **list, int level);
extern void level_text_raise(List *list, int level);

#endif							/* CONSISTENCY_LEVEL_TEXT_H */
