/*-------------------------------------------------------------------------
 *
 * key_state.h
 *	  What a member has of a key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_KEY_STATE_H
#define CONSISTENCY_KEY_STATE_H

#include "crdt/row_version.h"
#include "group/key_scan.h"

typedef enum KeyPresence
{
	KEY_ABSENT,
	KEY_DELETED,				/* a tombstone is left */
	KEY_PRESENT					/* a row */
} KeyPresence;

typedef struct KeyState
{
	KeyPresence presence;
	struct varlena *version;	/* unless it is absent */
	bool		settled;		/* a deletion that all members have seen, so
								 * that a later insertion may not go on from
								 * it */
	uint64	   *columns;		/* of a row: digests, as KeyTable has them */

	/* if asked for: what consistency.merge_row() or merge_tombstone() takes */
	char	   *values;			/* of a row: texts, as an array's text */
	char	   *image;			/* of a deletion: JSON, or NULL */
} KeyState;

extern KeyState *key_states(const KeyTable *table, char **keys, int n, bool whole);
extern bool key_state_equal(const KeyTable *table, const KeyState *a, const KeyState *b);
extern bool key_state_covers(const KeyState *later, const KeyState *earlier);
extern bool key_state_is_outdated(const KeyState *state, const KeyState *by);
extern bool key_state_same_version(const KeyState *a, const KeyState *b);

#endif							/* CONSISTENCY_KEY_STATE_H */
