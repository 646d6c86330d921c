/*-------------------------------------------------------------------------
 *
 * owner_forward.h
 *	  Changes of rows that are sent to their owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_OWNER_FORWARD_H
#define CONSISTENCY_OWNER_FORWARD_H

#include "commands/trigger.h"

extern void owner_forward_init(void);
extern void owner_forward_check(Relation relation);
extern void owner_forward_row(const TriggerData *trigdata, const char *owner);

#endif							/* CONSISTENCY_OWNER_FORWARD_H */
