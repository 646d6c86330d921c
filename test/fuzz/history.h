/*-------------------------------------------------------------------------
 *
 * history.h
 *	  A random history: operations at several replicas, and what reaches whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_HISTORY_H
#define FUZZ_HISTORY_H

#include "apply.h"
#include "model.h"
#include "random.h"
#include "subject.h"

#define MAX_SNAPSHOTS 128

/* Some replica's state at some time, and which operations it had seen. */
typedef struct Snapshot
{
	Datum		state;
	OpSet		seen;
} Snapshot;

typedef struct History
{
	Subject    *subject;
	Mutators   *mutators;
	Random		random;
	Log			log;
	Snapshot	replicas[MAX_REPLICAS]; /* as they are */
	int			n;
	Snapshot	snapshots[MAX_SNAPSHOTS];	/* all that there was */
	/* what this history draws from */
	int			elements_used;
	int			elements[8];
	int			keys_used;
	int			keys[3];
	int			types_used;
	ModelType	types[7];
	bool		large;			/* amounts that may overflow */
	bool		imports;		/* stamps come from elsewhere, and collide */
	bool		expanded;		/* sets large enough to be expanded objects */
	int64		checks;
} History;

extern uint64 history_special_id(Random *random);
extern void history_begin(History *history, Subject *subject, Mutators *mutators, Random random);
extern void history_step(History *history);
extern void history_describe(StringInfo out, const History *history);
extern void history_fail(History *history, const char *law,...) pg_attribute_printf(2, 3) pg_attribute_noreturn();
extern void history_expect_value(History *history, Datum state, OpSet seen);

#endif							/* FUZZ_HISTORY_H */
