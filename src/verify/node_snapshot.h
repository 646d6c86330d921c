/*-------------------------------------------------------------------------
 *
 * node_snapshot.h
 *	  A replica's snapshot, used at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_SNAPSHOT_H
#define CONSISTENCY_NODE_SNAPSHOT_H

#include "utils/snapshot.h"
#include "utils/timestamp.h"

extern char *node_snapshot_text(Snapshot snapshot);
extern Snapshot node_snapshot_adopt(const char *text, Snapshot ours, TimestampTz deadline);

#endif							/* CONSISTENCY_NODE_SNAPSHOT_H */
