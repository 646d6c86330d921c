/*-------------------------------------------------------------------------
 *
 * bcounter.c
 *	  Counter that never falls below its bound.
 *
 * Whoever counts up creates rights to count down, and whoever counts down uses
 * up rights of its own.  So no replica needs to ask another one, and whatever
 * they do apart, the value stays at or above the bound.  A replica short of
 * rights can be handed some by one that has them.
 *
 * A replica spends only rights that its state shows, and whatever is merged with
 * that state knows where they came from.  This holds for states that replicas
 * have reached, not for such as somebody has made up, and only as long as no two
 * servers use the same replica id.  Rights of a replica that is gone for good are
 * not lost: under its id (consistency.replica_id) they can be transferred.
 *
 * The body is what rights.c describes.  As JSON: {"bound": 0, "replicas":
 * {"id": {"created": 10, "consumed": 3, "transferred": {"id": 4}}, ...}}.
 *
 * See Balegas, Serra, Duarte, Ferreira, Rodrigues, Preguiça, Shapiro, Najafzadeh:
 * "Extending eventually consistent cloud databases for enforcing numeric
 * invariants" (SRDS 2015).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "crdt/crdt.h"
#include "crdt/json.h"
#include "crdt/replica_id.h"
#include "crdt/rights.h"

static void merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b);
static void body_to_json(StringInfo out, CrdtReader body, int depth);
static void body_from_json(CrdtBuffer *out, JsonbValue *json, int depth);
static void value_to_json(StringInfo out, CrdtReader body, int depth);
static CounterValue sum(CrdtReader body);
static struct varlena *join(const Rights *rights, const Rights *change);
static struct varlena *count(CrdtReader body, int64 amount, bool down);
static void demand_rights(const Rights *rights, uint64 id, uint64 amount);
static int64 rights_int64(const Rights *rights, uint64 id);
static uint64 text_id(const text *id);

PG_FUNCTION_INFO_V1(bcounter_new);
PG_FUNCTION_INFO_V1(bcounter_increment);
PG_FUNCTION_INFO_V1(bcounter_decrement);
PG_FUNCTION_INFO_V1(bcounter_transfer);
PG_FUNCTION_INFO_V1(bcounter_rights);
PG_FUNCTION_INFO_V1(bcounter_rights_of);
PG_FUNCTION_INFO_V1(bcounter_bound);
PG_FUNCTION_INFO_V1(bcounter_value);
PG_FUNCTION_INFO_V1(bcounter_int8);

const CrdtRoutine bcounter_routine = {
	.name = "bcounter",
	.check = rights_check,
	.merge = merge_bodies,
	.to_json = body_to_json,
	.from_json = body_from_json,
	.value = value_to_json,
};

/* --- bodies -------------------------------------------------------------- */

static void
merge_bodies(CrdtBuffer *out, CrdtReader a, CrdtReader b)
{
	Rights		rights_a = rights_read(a);
	Rights		rights_b = rights_read(b);
	Rights		joined = rights_join(&rights_a, &rights_b);

	rights_write(out, &joined);
}

static void
body_to_json(StringInfo out, CrdtReader body, int depth)
{
	Rights		rights = rights_read(body);

	rights_format(out, &rights);
}

static void
body_from_json(CrdtBuffer *out, JsonbValue *json, int depth)
{
	Rights		rights = rights_parse(json);

	rights_write(out, &rights);
}

static void
value_to_json(StringInfo out, CrdtReader body, int depth)
{
	CounterValue result = sum(body);

	counter_to_json(out, &result);
}

/* The bound, and what all replicas have counted. */
static CounterValue
sum(CrdtReader body)
{
	Rights		rights = rights_read(body);
	CounterValue result = {0};

	counter_sum_add(rights.bound < 0 ? &result.down : &result.up, counter_magnitude(rights.bound));
	for (int i = 0; i < rights.n; i++)
	{
		counter_sum_add(&result.up, rights.accounts[i].created);
		counter_sum_add(&result.down, rights.accounts[i].consumed);
	}
	return result;
}

/* --- changes ------------------------------------------------------------- */

/* The state with a change, which is written down as a state of its own. */
static struct varlena *
join(const Rights *rights, const Rights *change)
{
	Rights		joined = rights_join(rights, change);
	CrdtBuffer	out;

	crdt_start(&out, CRDT_BCOUNTER);
	rights_write(&out, &joined);
	return crdt_finish_mutation(&out);
}

/*
 * The state that this replica has counted up, or down; a negative amount goes
 * the other way.
 */
static struct varlena *
count(CrdtReader body, int64 amount, bool down)
{
	Rights		rights = rights_read(body);
	uint64		by = counter_magnitude(amount);
	RightsAccount own = {replica_id_own()};
	Rights		change = {rights.bound, by > 0 ? 1 : 0, &own};
	int			account = rights_find(&rights, own.id);

	if (account >= 0)
		own = rights.accounts[account];
	if (down == (amount < 0))
		own.created = crdt_count_sum(own.created, by);
	else
	{
		demand_rights(&rights, own.id, by);
		own.consumed = crdt_count_sum(own.consumed, by);
	}
	return join(&rights, &change);
}

/* Raise an error unless the replica has rights to so much. */
static void
demand_rights(const Rights *rights, uint64 id, uint64 amount)
{
	CounterValue has = rights_of(rights, rights_find(rights, id));
	CounterValue remains = has;

	counter_sum_add(&remains.down, amount);
	if (counter_is_negative(&remains))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("not enough rights to take " UINT64_FORMAT " from a bcounter", amount),
				 errdetail("Replica \"%" INT64_MODIFIER "x\" has rights to %s above the bound " INT64_FORMAT ".",
						   id, counter_text(&has), rights->bound),
				 errhint("Another replica that has rights can hand some over with transfer().")));
}

/* What a replica may still take. */
static int64
rights_int64(const Rights *rights, uint64 id)
{
	CounterValue result = rights_of(rights, rights_find(rights, id));

	return counter_int64(&result);
}

/* The replica that an argument names.  A member's name gets a hint. */
static uint64
text_id(const text *id)
{
	return crdt_parse_id(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id),
						 "consistency.replica_id() tells that of the database in which it is called.");
}

/* --- SQL functions ------------------------------------------------------- */

/* bcounter(bound, value): with all rights at this replica */
Datum
bcounter_new(PG_FUNCTION_ARGS)
{
	int64		bound = PG_GETARG_INT64(0);
	int64		value = PG_GETARG_INT64(1);
	RightsAccount own = {0};
	Rights		rights = {bound};

	if (value < bound)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("value " INT64_FORMAT " is below the bound " INT64_FORMAT, value, bound)));
	if (value > bound)
	{
		own.id = replica_id_own();
		own.created = crdt_count_sum(0, (uint64) value - (uint64) bound);
		rights.n = 1;
		rights.accounts = &own;
	}
	PG_RETURN_POINTER(join(&rights, &rights));
}

/* increment(bcounter, bigint), bcounter + bigint */
Datum
bcounter_increment(PG_FUNCTION_ARGS)
{
	CrdtState	counter = CRDT_GETARG(0, CRDT_BCOUNTER);

	PG_RETURN_POINTER(count(counter.body, PG_GETARG_INT64(1), false));
}

/* decrement(bcounter, bigint), bcounter - bigint */
Datum
bcounter_decrement(PG_FUNCTION_ARGS)
{
	CrdtState	counter = CRDT_GETARG(0, CRDT_BCOUNTER);

	PG_RETURN_POINTER(count(counter.body, PG_GETARG_INT64(1), true));
}

/* transfer(bcounter, to_replica, amount): hand over rights of this replica */
Datum
bcounter_transfer(PG_FUNCTION_ARGS)
{
	Rights		rights = rights_read(CRDT_GETARG(0, CRDT_BCOUNTER).body);
	uint64		to = text_id(PG_GETARG_TEXT_PP(1));
	int64		amount = PG_GETARG_INT64(2);
	uint64		from = replica_id_own();
	RightsTransfer transfer = {from < to ? 0 : 1, from < to ? 1 : 0};
	RightsAccount accounts[] = {{Min(from, to)}, {Max(from, to)}};
	Rights		change = {rights.bound, 2, accounts, 1, &transfer};

	if (amount < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must not be negative"),
				 errhint("Rights are transferred by the replica that has them.")));
	if (from == to)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("replica \"%" INT64_MODIFIER "x\" can't transfer rights to itself", to)));
	demand_rights(&rights, from, (uint64) amount);
	if (amount == 0)
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	transfer.amount = crdt_count_sum(rights_transferred(&rights, from, to), (uint64) amount);
	PG_RETURN_POINTER(join(&rights, &change));
}

/* rights(bcounter): of this replica */
Datum
bcounter_rights(PG_FUNCTION_ARGS)
{
	Rights		rights = rights_read(CRDT_GETARG(0, CRDT_BCOUNTER).body);

	PG_RETURN_INT64(rights_int64(&rights, replica_id_own()));
}

/* rights(bcounter, replica) */
Datum
bcounter_rights_of(PG_FUNCTION_ARGS)
{
	Rights		rights = rights_read(CRDT_GETARG(0, CRDT_BCOUNTER).body);

	PG_RETURN_INT64(rights_int64(&rights, text_id(PG_GETARG_TEXT_PP(1))));
}

/* bound(bcounter) */
Datum
bcounter_bound(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(rights_read(CRDT_GETARG(0, CRDT_BCOUNTER).body).bound);
}

/* value(bcounter), bcounter::numeric */
Datum
bcounter_value(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_BCOUNTER).body);

	PG_RETURN_NUMERIC(counter_numeric(&result));
}

/* bcounter::bigint */
Datum
bcounter_int8(PG_FUNCTION_ARGS)
{
	CounterValue result = sum(CRDT_GETARG(0, CRDT_BCOUNTER).body);

	PG_RETURN_INT64(counter_int64(&result));
}
