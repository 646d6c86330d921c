/*-------------------------------------------------------------------------
 *
 * key_lock.h
 *	  Local insertions and replicated changes of one key, one after the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_KEY_LOCK_H
#define CONSISTENCY_KEY_LOCK_H

extern void key_lock_shared(Oid relation, const char *key);
extern bool key_lock_try_exclusive(Oid relation, const char *key);
extern void key_lock_exclusive(Oid relation, const char *key);

#endif							/* CONSISTENCY_KEY_LOCK_H */
