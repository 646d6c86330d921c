/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  Who may take how much from a bounded counter.
 *
 * In bytes: the bound (a varint, zigzag: 0, -1, 1, -2 ... are 0, 1, 2, 3 ...),
 * then accounts to the end, ids ascending:
 *
 *		id | created | consumed | number of transfers | transfers
 *
 * A transfer is the place of the receiving account and the amount, varints both,
 * places ascending.  An account that has done nothing is there only because
 * something was transferred to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "crdt/json.h"
#include "crdt/rights.h"
#include "crdt/vector.h"

/* What is found by looking through the bytes once. */
typedef struct Extent
{
	int			accounts;
	int			transfers;
} Extent;

/* What JSON says of one replica. */
typedef struct Member
{
	RightsAccount account;
	Vector		transferred;	/* by the receiver's id */
} Member;

static Extent measure(CrdtReader accounts);
static void check_transfers(CrdtReader *reader, uint64 n, int account, int accounts, bool *receives);
static Rights allocate(int64 bound, int accounts, int transfers);
static void fill(Rights *rights, CrdtReader reader);
static int	join_accounts(Rights *joined, const Rights *a, const Rights *b, int *from_a, int *from_b);
static int	join_transfers(Rights *joined, const Rights *a, const Rights *b, const int *from_a, const int *from_b);
static Member *parse_members(JsonbValue *json, int *n);
static Member parse_member(CrdtJsonMembers *json);
static Rights from_members(int64 bound, Member *members, int n);
static void collect_accounts(Rights *rights, const Member *members, int n);
static void append_amount(StringInfo out, const char *name, uint64 amount);
static void format_account(StringInfo out, const Rights *rights, int account, int *transfer);
static int	compare_accounts(const void *a, const void *b);
static int	compare_members(const void *a, const void *b);

/* --- bytes --------------------------------------------------------------- */

static inline int64
unzigzag(uint64 value)
{
	return (int64) (value >> 1) ^ -(int64) (value & 1);
}

static inline uint64
zigzag(int64 value)
{
	return ((uint64) value << 1) ^ (value < 0 ? PG_UINT64_MAX : 0);
}

/* How much there is to read, so that no number in it needs to be believed. */
static Extent
measure(CrdtReader accounts)
{
	Extent		extent = {0};

	while (!crdt_at_end(&accounts))
	{
		uint64		n;

		(void) crdt_read_id(&accounts);
		(void) crdt_read_varint(&accounts);
		(void) crdt_read_varint(&accounts);
		n = crdt_read_varint(&accounts);
		/* each takes two bytes at least, so that this ends */
		for (uint64 i = 0; i < n; i++)
		{
			(void) crdt_read_varint(&accounts);
			(void) crdt_read_varint(&accounts);
			extent.transfers++;
		}
		extent.accounts++;
	}
	return extent;
}

void
rights_check(CrdtReader body, int depth)
{
	uint64		last = 0;
	Extent		extent;
	bool	   *idle,
			   *receives;

	(void) crdt_read_minimal_varint(&body);
	extent = measure(body);
	idle = palloc0(extent.accounts + 1);
	receives = palloc0(extent.accounts + 1);
	for (int i = 0; i < extent.accounts; i++)
	{
		uint64		id = crdt_read_id(&body);
		uint64		created = crdt_read_minimal_varint(&body);
		uint64		consumed = crdt_read_minimal_varint(&body);
		uint64		n = crdt_read_minimal_varint(&body);

		if (id <= last)
			crdt_corrupted("replica ids don't ascend");
		if (created > CRDT_MAX_COUNT || consumed > CRDT_MAX_COUNT)
			crdt_corrupted("a count is out of range");
		idle[i] = created == 0 && consumed == 0 && n == 0;
		check_transfers(&body, n, i, extent.accounts, receives);
		last = id;
	}
	for (int i = 0; i < extent.accounts; i++)
	{
		if (idle[i] && !receives[i])
			crdt_corrupted("a replica has done nothing");
	}
	pfree(idle);
	pfree(receives);
}

/* The n transfers of an account; mark the receivers. */
static void
check_transfers(CrdtReader *reader, uint64 n, int account, int accounts, bool *receives)
{
	uint64		least = 0;

	for (uint64 i = 0; i < n; i++)
	{
		uint64		to = crdt_read_minimal_varint(reader);
		uint64		amount = crdt_read_minimal_varint(reader);

		if (to < least || to >= (uint64) accounts || to == (uint64) account)
			crdt_corrupted("a transfer goes to the wrong replica");
		if (amount == 0 || amount > CRDT_MAX_COUNT)
			crdt_corrupted("a count is out of range");
		receives[to] = true;
		least = to + 1;
	}
}

static Rights
allocate(int64 bound, int accounts, int transfers)
{
	Rights		rights;

	rights.bound = bound;
	rights.n = accounts;
	rights.accounts = MemoryContextAllocHuge(CurrentMemoryContext, Max(accounts, 1) * sizeof(RightsAccount));
	rights.n_transfers = transfers;
	rights.transfers = MemoryContextAllocHuge(CurrentMemoryContext, Max(transfers, 1) * sizeof(RightsTransfer));
	return rights;
}

/* The rights in a body. */
Rights
rights_read(CrdtReader body)
{
	int64		bound = unzigzag(crdt_read_varint(&body));
	Extent		extent = measure(body);
	Rights		rights = allocate(bound, extent.accounts, extent.transfers);

	fill(&rights, body);
	return rights;
}

/* Read the accounts and transfers, which were counted. */
static void
fill(Rights *rights, CrdtReader reader)
{
	int			transfers = 0;

	for (int i = 0; i < rights->n; i++)
	{
		RightsAccount *account = &rights->accounts[i];
		uint64		n;

		account->id = crdt_read_id(&reader);
		account->created = crdt_read_varint(&reader);
		account->consumed = crdt_read_varint(&reader);
		n = crdt_read_varint(&reader);
		for (uint64 j = 0; j < n; j++)
		{
			RightsTransfer *transfer = &rights->transfers[transfers++];
			uint64		to = crdt_read_varint(&reader);

			if (to >= (uint64) rights->n)
				crdt_corrupted("a transfer goes to the wrong replica");
			transfer->from = i;
			transfer->to = (int) to;
			transfer->amount = crdt_read_varint(&reader);
		}
	}
}

/* Append the body that rights_read() reads. */
void
rights_write(CrdtBuffer *out, const Rights *rights)
{
	int			next = 0;

	crdt_append_varint(out, zigzag(rights->bound));
	for (int i = 0; i < rights->n; i++)
	{
		int			first = next;

		while (next < rights->n_transfers && rights->transfers[next].from == i)
			next++;
		crdt_reserve(out, CRDT_ID_SIZE + 3 * CRDT_VARINT_SIZE);
		crdt_put_id(out, rights->accounts[i].id);
		crdt_put_varint(out, rights->accounts[i].created);
		crdt_put_varint(out, rights->accounts[i].consumed);
		crdt_put_varint(out, next - first);
		for (int j = first; j < next; j++)
		{
			crdt_append_varint(out, rights->transfers[j].to);
			crdt_append_varint(out, rights->transfers[j].amount);
		}
	}
}

/* --- the lattice --------------------------------------------------------- */

/* The larger one of all that each replica has done, and of the bounds. */
Rights
rights_join(const Rights *a, const Rights *b)
{
	Rights		joined = allocate(Max(a->bound, b->bound), a->n + b->n, a->n_transfers + b->n_transfers);
	int		   *from_a = palloc(Max(a->n, 1) * sizeof(int));
	int		   *from_b = palloc(Max(b->n, 1) * sizeof(int));

	joined.n = join_accounts(&joined, a, b, from_a, from_b);
	joined.n_transfers = join_transfers(&joined, a, b, from_a, from_b);
	pfree(from_a);
	pfree(from_b);
	return joined;
}

/* Returns how many there are; notes where those of a and b went to. */
static int
join_accounts(Rights *joined, const Rights *a, const Rights *b, int *from_a, int *from_b)
{
	int			i = 0,
				j = 0,
				n = 0;

	for (; i < a->n || j < b->n; n++)
	{
		bool		takes_a = j == b->n || (i < a->n && a->accounts[i].id <= b->accounts[j].id);
		bool		takes_b = i == a->n || (j < b->n && b->accounts[j].id <= a->accounts[i].id);
		RightsAccount *account = &joined->accounts[n];

		*account = takes_a ? a->accounts[i] : b->accounts[j];
		if (takes_a && takes_b)
		{
			account->created = Max(account->created, b->accounts[j].created);
			account->consumed = Max(account->consumed, b->accounts[j].consumed);
		}
		if (takes_a)
			from_a[i++] = n;
		if (takes_b)
			from_b[j++] = n;
	}
	return n;
}

/* Where the transfer stands among those of the joined rights. */
static inline uint64
transfer_key(const RightsTransfer *transfer, const int *places)
{
	return (uint64) places[transfer->from] << 32 | (uint32) places[transfer->to];
}

/* Returns how many there are. */
static int
join_transfers(Rights *joined, const Rights *a, const Rights *b, const int *from_a, const int *from_b)
{
	int			i = 0,
				j = 0,
				n = 0;

	for (; i < a->n_transfers || j < b->n_transfers; n++)
	{
		uint64		key_a = i < a->n_transfers ? transfer_key(&a->transfers[i], from_a) : PG_UINT64_MAX;
		uint64		key_b = j < b->n_transfers ? transfer_key(&b->transfers[j], from_b) : PG_UINT64_MAX;
		uint64		key = Min(key_a, key_b);
		RightsTransfer *transfer = &joined->transfers[n];

		transfer->from = (int) (key >> 32);
		transfer->to = (int) (uint32) key;
		transfer->amount = 0;
		if (key_a == key)
			transfer->amount = a->transfers[i++].amount;
		if (key_b == key)
		{
			transfer->amount = Max(transfer->amount, b->transfers[j].amount);
			j++;
		}
	}
	return n;
}

/* --- questions ----------------------------------------------------------- */

/* The place of a replica's account, -1 if it has none. */
int
rights_find(const Rights *rights, uint64 id)
{
	RightsAccount key = {id};
	RightsAccount *found = bsearch(&key, rights->accounts, rights->n, sizeof(RightsAccount), compare_accounts);

	return found == NULL ? -1 : (int) (found - rights->accounts);
}

/* What an account may still take, or give away: nothing if the place is -1. */
CounterValue
rights_of(const Rights *rights, int account)
{
	CounterValue result = {0};

	if (account < 0)
		return result;
	counter_sum_add(&result.up, rights->accounts[account].created);
	counter_sum_add(&result.down, rights->accounts[account].consumed);
	for (int i = 0; i < rights->n_transfers; i++)
	{
		if (rights->transfers[i].to == account)
			counter_sum_add(&result.up, rights->transfers[i].amount);
		if (rights->transfers[i].from == account)
			counter_sum_add(&result.down, rights->transfers[i].amount);
	}
	return result;
}

/* All that one replica has given to another. */
uint64
rights_transferred(const Rights *rights, uint64 from, uint64 to)
{
	int			from_account = rights_find(rights, from);
	int			to_account = rights_find(rights, to);

	for (int i = 0; i < rights->n_transfers; i++)
	{
		if (rights->transfers[i].from == from_account && rights->transfers[i].to == to_account)
			return rights->transfers[i].amount;
	}
	return 0;
}

static int
compare_accounts(const void *a, const void *b)
{
	uint64		id_a = ((const RightsAccount *) a)->id;
	uint64		id_b = ((const RightsAccount *) b)->id;

	return (id_a > id_b) - (id_a < id_b);
}

static int
compare_members(const void *a, const void *b)
{
	return compare_accounts(&((const Member *) a)->account, &((const Member *) b)->account);
}

/* --- JSON ---------------------------------------------------------------- */

/* Append {"bound": ..., "replicas": {"id": {"created": ..., ...}, ...}}. */
void
rights_format(StringInfo out, const Rights *rights)
{
	int			transfer = 0;

	appendStringInfo(out, "{\"bound\": " INT64_FORMAT ", \"replicas\": {", rights->bound);
	for (int i = 0; i < rights->n; i++)
	{
		appendStringInfoString(out, i > 0 ? ", " : "");
		format_account(out, rights, i, &transfer);
	}
	appendStringInfoString(out, "}}");
}

/* Append a member of an object, unless it is 0. */
static void
append_amount(StringInfo out, const char *name, uint64 amount)
{
	if (amount > 0)
		appendStringInfo(out, "%s\"%s\": " UINT64_FORMAT, out->data[out->len - 1] == '{' ? "" : ", ", name, amount);
}

/* Append an account and what it has transferred, beginning with *transfer. */
static void
format_account(StringInfo out, const Rights *rights, int account, int *transfer)
{
	const char *separator = "";

	crdt_json_append_id(out, rights->accounts[account].id);
	appendStringInfoString(out, ": {");
	append_amount(out, "created", rights->accounts[account].created);
	append_amount(out, "consumed", rights->accounts[account].consumed);
	if (*transfer < rights->n_transfers && rights->transfers[*transfer].from == account)
	{
		appendStringInfo(out, "%s\"transferred\": {", out->data[out->len - 1] == '{' ? "" : ", ");
		for (; *transfer < rights->n_transfers && rights->transfers[*transfer].from == account; (*transfer)++)
		{
			appendStringInfoString(out, separator);
			crdt_json_append_id(out, rights->accounts[rights->transfers[*transfer].to].id);
			appendStringInfo(out, ": " UINT64_FORMAT, rights->transfers[*transfer].amount);
			separator = ", ";
		}
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, '}');
}

/* Read what rights_format() has written.  Receivers need no member of their own. */
Rights
rights_parse(JsonbValue *json)
{
	CrdtJsonMembers parts = crdt_json_object(json);
	int64		bound = 0;
	Member	   *members = NULL;
	int			n = 0;

	while (crdt_json_next(&parts))
	{
		if (crdt_json_key_is(&parts, "bound"))
			bound = crdt_json_int64(&parts.value);
		else if (crdt_json_key_is(&parts, "replicas"))
			members = parse_members(&parts.value, &n);
		else
			crdt_json_unknown_key(&parts);
	}
	return from_members(bound, members, n);
}

/* Read the object of replicas, and order them. */
static Member *
parse_members(JsonbValue *json, int *n)
{
	CrdtJsonMembers replicas = crdt_json_object(json);
	Member	   *members;

	*n = JsonContainerSize(json->val.binary.data);
	members = palloc(Max(*n, 1) * sizeof(Member));
	for (int i = 0; crdt_json_next(&replicas); i++)
		members[i] = parse_member(&replicas);
	qsort(members, *n, sizeof(Member), compare_members);
	for (int i = 1; i < *n; i++)
	{
		if (compare_members(&members[i - 1], &members[i]) == 0)
			crdt_json_error("Replica id \"%" INT64_MODIFIER "x\" occurs twice.", members[i].account.id);
	}
	return members;
}

static Member
parse_member(CrdtJsonMembers *json)
{
	Member		member = {{crdt_json_id(&json->key)}};
	CrdtJsonMembers parts = crdt_json_object(&json->value);

	while (crdt_json_next(&parts))
	{
		if (crdt_json_key_is(&parts, "created"))
			member.account.created = crdt_json_count(&parts.value, 0);
		else if (crdt_json_key_is(&parts, "consumed"))
			member.account.consumed = crdt_json_count(&parts.value, 0);
		else if (crdt_json_key_is(&parts, "transferred"))
			member.transferred = vector_parse(&parts.value);
		else
			crdt_json_unknown_key(&parts);
	}
	if (member.transferred.n > 0 && vector_find(&member.transferred, member.account.id) >= 0)
		crdt_json_error("Replica \"%" INT64_MODIFIER "x\" transfers to itself.", member.account.id);
	return member;
}

/* Put together what was read of each replica. */
static Rights
from_members(int64 bound, Member *members, int n)
{
	int			transfers = 0;
	Rights		rights;

	for (int i = 0; i < n; i++)
		transfers += members[i].transferred.n;
	rights = allocate(bound, n + transfers, transfers);
	collect_accounts(&rights, members, n);
	rights.n_transfers = 0;
	for (int i = 0; i < n; i++)
	{
		int			from = rights_find(&rights, members[i].account.id);

		for (int j = 0; j < members[i].transferred.n; j++)
		{
			RightsTransfer *transfer = &rights.transfers[rights.n_transfers++];

			transfer->from = from;
			transfer->to = rights_find(&rights, members[i].transferred.entries[j].id);
			transfer->amount = members[i].transferred.entries[j].count;
		}
	}
	return rights;
}

/*
 * The accounts of all that have done something, and of all receivers, each once.
 * There is room for all of them.
 */
static void
collect_accounts(Rights *rights, const Member *members, int n)
{
	int			found = 0,
				kept = 0;

	for (int i = 0; i < n; i++)
	{
		const Vector *transferred = &members[i].transferred;

		if (members[i].account.created > 0 || members[i].account.consumed > 0 || transferred->n > 0)
			rights->accounts[found++] = members[i].account;
		for (int j = 0; j < transferred->n; j++)
		{
			RightsAccount receiver = {transferred->entries[j].id};

			rights->accounts[found++] = receiver;
		}
	}
	qsort(rights->accounts, found, sizeof(RightsAccount), compare_accounts);
	for (int i = 0; i < found; i++)
	{
		RightsAccount *account = &rights->accounts[i];

		if (kept > 0 && rights->accounts[kept - 1].id == account->id)
		{
			/* a receiver's; only one of the two says anything */
			rights->accounts[kept - 1].created |= account->created;
			rights->accounts[kept - 1].consumed |= account->consumed;
		}
		else
			rights->accounts[kept++] = *account;
	}
	rights->n = kept;
}
