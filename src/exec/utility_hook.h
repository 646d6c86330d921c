/*-------------------------------------------------------------------------
 *
 * utility_hook.h
 *	  Utility statements that concern us.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_UTILITY_HOOK_H
#define CONSISTENCY_UTILITY_HOOK_H

extern void utility_hook_init(void);

#endif							/* CONSISTENCY_UTILITY_HOOK_H */
