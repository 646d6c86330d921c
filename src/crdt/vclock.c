/*-------------------------------------------------------------------------
 *
 * vclock.c
 *	  Version vector: how many events of each replica something has seen.
 *
 * Body: entries as in vector.h, to the end.  As JSON: {"id": count, ...}.
 *
 * See Mattern: "Virtual time and global states of distributed systems" (1989).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "crdt/crdt.h"
#include "crdt/replica_id.h"
#include "crdt/vector.h"


PG_FUNCTION_INFO_V1(vclock_increment);
PG_FUNCTION_INFO_V1(vclock_compare);

const CrdtRoutine vclock_routine = {
	.name = "vclock",
	.counts = 1,
	.check = vector_check,
	.merge = vector_merge,
	.to_json = vector_to_json,
	.from_json = vector_from_json,
	.value = vector_to_json,
};

/* increment(vclock): one more event of this replica */
Datum
vclock_increment(PG_FUNCTION_ARGS)
{
	CrdtState	clock = CRDT_GETARG(0, CRDT_VCLOCK);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_VCLOCK);
	vector_increment(&out, clock.body, replica_id_own(), 1);
	PG_RETURN_POINTER(crdt_finish_mutation(&out));
}

/* compare(vclock, vclock): before, after, equal or concurrent */
Datum
vclock_compare(PG_FUNCTION_ARGS)
{
	CrdtState	a = CRDT_GETARG(0, CRDT_VCLOCK);
	CrdtState	b = CRDT_GETARG(1, CRDT_VCLOCK);
	CrdtState	joined = crdt_state(crdt_merge_states(&a, &b), CRDT_VCLOCK);
	bool		within_b = crdt_compare_bytes(&joined.body, &b.body) == 0;
	bool		within_a = crdt_compare_bytes(&joined.body, &a.body) == 0;

	PG_RETURN_TEXT_P(cstring_to_text(within_a ? (within_b ? "equal" : "after") :
									 (within_b ? "before" : "concurrent")));
}
