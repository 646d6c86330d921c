/*-------------------------------------------------------------------------
 *
 * tombstone.h
 *	  What is left of a row that was deleted from an attached table.
 *
 * A row is deleted as any other.  But a version of it may be on its way from
 * elsewhere, and must not bring it back; and whoever inserts it again has to go on
 * from where it was.  So consistency.tombstones keeps its version.  The table is
 * published with the attached ones: that is how a deletion travels.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_TOMBSTONE_H
#define CONSISTENCY_TOMBSTONE_H

#include "storage/itemptr.h"

#include "converge/row_merge.h"

typedef struct Tombstone
{
	ItemPointerData place;
	RowVersion	version;
	Jsonb	   *image;			/* of tables where additions win: the row; or
								 * NULL */
} Tombstone;

/* columns of consistency.tombstones */
enum
{
	TOMBSTONE_RELATION = 1,
	TOMBSTONE_KEY,
	TOMBSTONE_VERSION,
	TOMBSTONE_IMAGE
};

#define TOMBSTONE_COLUMNS TOMBSTONE_IMAGE

#define TOMBSTONE_TABLE "tombstones"

extern Tombstone *tombstone_find(TableRules *rules, const char *key);
extern bool tombstone_any(TableRules *rules, const char *key);
extern bool tombstone_is_settled(TableRules *rules, const char *key, const Tombstone *tombstone);
extern void tombstone_write(TableRules *rules, const char *key, const RowVersion *version, Jsonb *image);
extern void tombstone_put(TableRules *rules, const char *key, const RowVersion *version, Jsonb *image);
extern void tombstone_remove(const Tombstone *tombstone);
extern void tombstone_remove_all(const char *table);
extern RowImage tombstone_row(TableRules *rules, const Tombstone *tombstone, const Datum *key, const RowImage *other);

#endif							/* CONSISTENCY_TOMBSTONE_H */
