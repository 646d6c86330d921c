/*-------------------------------------------------------------------------
 *
 * set_expanded.c
 *	  Large sets while they are being changed, as expanded objects.
 *
 * A loop in PL/pgSQL that adds to a set one by one must not copy the whole set
 * each time.  But up to version 17 PL/pgSQL never lets a function like ours
 * change a variable's object in place (see exec_check_rw_parameter): it passes a
 * read-only pointer, keeps the old object until the new one is assigned, and may
 * keep both.  So objects here are versions that share what they consist of:
 *
 *		store:	 the flat set that all began with, and changes by element,
 *				 each with the version that made it
 *		version: a number, the vector of an orset, and the store
 *
 * A version sees, of each element, the newest change that isn't newer than
 * itself.  Changing the store's newest version adds a change, and a version; the
 * old one goes on seeing what it saw.  Changing an older one begins a new store.
 * (Cf. Driscoll, Sarnak, Sleator, Tarjan: "Making data structures persistent",
 * JCSS 38, 1989: fat nodes.)
 *
 * The store lives until its last version is gone, whichever context that is in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#include "crdt/dots.h"
#include "crdt/replica_id.h"
#include "crdt/set.h"
#include "crdt/set_expanded.h"

/* Smaller sets than this, in bytes, are better copied. */
#define WORTH_EXPANDING 2048

/* What became of an element. */
typedef struct Change
{
	struct Change *older;		/* NULL: before it, what the base has */
	uint32		version;		/* that made it */
	bool		present;		/* has the element a place in the set? */
	uint8		trailer_size;
	uint8		trailer[1 + DOT_MAX_SIZE];
} Change;

typedef struct ChangedElement
{
	CrdtReader	payload;
	Change	   *newest;
	uint32		hash;
	char		status;			/* simplehash's */
} ChangedElement;

static inline uint32
hash_payload(CrdtReader payload)
{
	return hash_bytes(payload.at, crdt_left(&payload));
}

#define SH_PREFIX changes
#define SH_ELEMENT_TYPE ChangedElement
#define SH_KEY_TYPE CrdtReader
#define SH_KEY payload
#define SH_HASH_KEY(table, key) hash_payload(key)
#define SH_EQUAL(table, a, b) (crdt_compare_bytes(&(a), &(b)) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct SetStore
{
	MemoryContext context;		/* of all this, a child of TopMemoryContext */
	CrdtType	type;
	Size		size;			/* of the body that all began with */
	int			references;		/* versions */
	uint32		newest;			/* the newest version */
	SetCursor	base;			/* before the first element of the flat set */
	const uint8 **places;		/* where each of them begins; NULL until
								 * somebody looks for one */
	changes_hash *changes;
} SetStore;

typedef struct SetVersion
{
	ExpandedObjectHeader header;
	SetStore   *store;
	uint32		version;
	CrdtReader	vector;			/* of an orset, as it stands in a body; of the
								 * same replicas as in all other versions */
	struct varlena *flat;		/* NULL until it was asked for */
	MemoryContextCallback callback;
} SetVersion;

static Size get_flat_size(ExpandedObjectHeader *header);
static void flatten_into(ExpandedObjectHeader *header, void *result, Size size);
static SetVersion *version_of(Datum value, CrdtType type);
static SetVersion *create_version(SetStore *store);
static void release_store(void *arg);
static SetStore *create_store(const CrdtState *state, CrdtReader *vector);
static SetVersion *begin(Datum value, CrdtType type);
static bool count_event(SetVersion *version, Change *change);
static void record(SetVersion *version, CrdtReader payload, const Change *change);
static const Change *visible_change(const ChangedElement *element, uint32 version);
static Change look(SetVersion *version, CrdtReader payload);
static bool look_in_base(SetStore *store, CrdtReader payload, SetElement *found);
static void find_places(SetStore *store);
static struct varlena *flatten(SetVersion *version);
static SetItem *visible_items(const SetVersion *version, int *n);
static int	compare_items(const void *a, const void *b);

static const ExpandedObjectMethods methods = {get_flat_size, flatten_into};

/* --- for the functions of sets ------------------------------------------- */

/*
 * set_expanded_change
 *		The set with an element more or less, as an expanded object.
 *
 * False if the set is to be copied instead: it is flat and small, or an orset to
 * which this replica adds for the first time.
 */
bool
set_expanded_change(Datum value, CrdtType type, CrdtReader payload, bool adds, Datum *result)
{
	SetVersion *version;
	Change		change = {.present = adds};

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(value)) &&
		toast_raw_datum_size(value) < WORTH_EXPANDING)
		return false;
	version = begin(value, type);
	if (type == CRDT_TWOPSET)
	{
		change = look(version, payload);
		if (adds && !change.present)
			change.trailer[0] = TWOPSET_ADDED;
		else if (!adds)
			change.trailer[0] = TWOPSET_REMOVED;
		change.present |= adds;
		change.trailer_size = 1;
	}
	else if (type == CRDT_ORSET && adds && !count_event(version, &change))
	{
		DeleteExpandedObject(EOHPGetRWDatum(&version->header));
		return false;
	}
	record(version, payload, &change);
	*result = EOHPGetRWDatum(&version->header);
	return true;
}

/*
 * set_expanded_is_member
 *		Is the element a member?  False if the set isn't expanded, and nobody knows.
 */
bool
set_expanded_is_member(Datum value, CrdtReader payload, bool *is_member)
{
	SetVersion *version = version_of(value, CRDT_ANY);
	Change		state;

	if (version == NULL)
		return false;
	state = look(version, payload);
	*is_member = state.present &&
		(version->store->type != CRDT_TWOPSET || state.trailer[0] == TWOPSET_ADDED);
	return true;
}

/* --- versions and stores ------------------------------------------------- */

/* The object that a value points to; NULL if it is flat. */
static SetVersion *
version_of(Datum value, CrdtType type)
{
	SetVersion *version;

	if (!VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(value)))
		return NULL;
	version = (SetVersion *) DatumGetEOHP(value);
	if (version->header.eoh_methods != &methods)
		return NULL;
	if (type != CRDT_ANY && version->store->type != type)
		crdt_corrupted("it is of another type");
	return version;
}

/* The next version of a store, in a context of its own. */
static SetVersion *
create_version(SetStore *store)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "consistency set",
												  ALLOCSET_START_SMALL_SIZES);
	SetVersion *version = MemoryContextAllocZero(context, sizeof(SetVersion));

	EOH_init_header(&version->header, &methods, context);
	version->store = store;
	store->references++;
	version->version = ++store->newest;
	version->callback.func = release_store;
	version->callback.arg = version;
	MemoryContextRegisterResetCallback(context, &version->callback);
	return version;
}

/* A version goes, with its context. */
static void
release_store(void *arg)
{
	SetStore   *store = ((SetVersion *) arg)->store;

	if (--store->references == 0)
		MemoryContextDelete(store->context);
}

/*
 * A store with what a flat set has, and no version yet.  It is part of the
 * current context until it has one.
 */
static SetStore *
create_store(const CrdtState *state, CrdtReader *vector)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "consistency set store",
												  ALLOCSET_DEFAULT_SIZES);
	SetStore   *store = MemoryContextAllocZero(context, sizeof(SetStore));
	CrdtState	copy = *state;
	Size		size = crdt_left(&state->body);
	uint8	   *bytes = MemoryContextAlloc(context, size);

	memcpy(bytes, state->body.at, size);
	copy.body.at = bytes;
	copy.body.end = bytes + size;
	vector->at = bytes;
	if (state->type == CRDT_ORSET)
		(void) dots_read_vector(&copy.body);
	vector->end = copy.body.at;
	store->context = context;
	store->type = state->type;
	store->size = size;
	store->base = set_open_elements(copy.body, state->type);
	store->changes = changes_create(context, 64, NULL);
	return store;
}

/*
 * A version to be changed.  Only the newest one of a store can have a successor
 * there; what another one shows begins a new store.
 */
static SetVersion *
begin(Datum value, CrdtType type)
{
	SetVersion *old = version_of(value, type);
	SetVersion *version;
	CrdtReader	vector;

	if (old != NULL && old->version == old->store->newest && old->version < PG_UINT32_MAX)
	{
		version = create_version(old->store);
		vector = old->vector;
	}
	else
	{
		CrdtState	state = crdt_state((struct varlena *) PG_DETOAST_DATUM_PACKED(value), type);
		SetStore   *store = create_store(&state, &vector);

		version = create_version(store);
		MemoryContextSetParent(store->context, TopMemoryContext);
	}
	version->vector = crdt_copy_bytes(version->header.eoh_context, &vector);
	return version;
}

/* --- changing and looking ------------------------------------------------ */

/* Count an addition to an orset: false if this replica isn't in the vector yet. */
static bool
count_event(SetVersion *version, Change *change)
{
	CrdtReader	body = version->vector;
	DotsVector	vector = dots_read_vector(&body);
	CrdtBuffer	counted = {.data = palloc(1),.size = 1};
	DotsEvent	event = dots_add_event(&counted, &vector, replica_id_own());
	CrdtBuffer	trailer = {.data = change->trailer};

	if (event.is_new_replica)
		return false;
	body.at = counted.data;
	body.end = counted.data + counted.used;
	version->vector = crdt_copy_bytes(version->header.eoh_context, &body);
	crdt_put_varint(&trailer, 1);
	dots_put(&trailer, event.dot);
	change->trailer_size = (uint8) trailer.used;
	return true;
}

/* Note what has become of an element in the newest version. */
static void
record(SetVersion *version, CrdtReader payload, const Change *change)
{
	SetStore   *store = version->store;
	ChangedElement *element = changes_lookup(store->changes, payload);
	Change	   *noted;
	bool		found;

	noted = MemoryContextAlloc(store->context, sizeof(Change));
	*noted = *change;
	noted->version = version->version;
	noted->older = element != NULL ? element->newest : NULL;
	if (element == NULL)
	{
		payload = crdt_copy_bytes(store->context, &payload);
		element = changes_insert(store->changes, payload, &found);
	}
	element->newest = noted;

	/* With nobody there but the version before, nobody sees what is older. */
	if (store->references <= 2 && noted->older != NULL)
	{
		Change	   *unseen = noted->older->older;

		noted->older->older = NULL;
		while (unseen != NULL)
		{
			Change	   *older = unseen->older;

			pfree(unseen);
			unseen = older;
		}
	}
}

/* What a version sees of an element; NULL if that is what the base has. */
static const Change *
visible_change(const ChangedElement *element, uint32 version)
{
	const Change *change = element->newest;

	while (change != NULL && change->version > version)
		change = change->older;
	return change;
}

/* What has become of an element, as a version sees it. */
static Change
look(SetVersion *version, CrdtReader payload)
{
	ChangedElement *element = changes_lookup(version->store->changes, payload);
	const Change *change = element == NULL ? NULL : visible_change(element, version->version);
	Change		state = {0};
	SetElement	found;

	if (change != NULL)
		return *change;
	state.present = look_in_base(version->store, payload, &found);
	if (state.present && version->store->type == CRDT_TWOPSET)
		state.trailer[0] = *found.trailer.at;
	return state;
}

/* Look for an element in the flat set that the store began with. */
static bool
look_in_base(SetStore *store, CrdtReader payload, SetElement *found)
{
	uint64		low = 0,
				high = store->base.left;

	if (store->places == NULL)
		find_places(store);
	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;
		SetCursor	cursor = store->base;
		int			order;

		cursor.rest.at = store->places[middle];
		(void) set_next(&cursor);
		order = crdt_compare_bytes(&payload, &cursor.element.payload);
		if (order == 0)
		{
			*found = cursor.element;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* Note where the elements of the base begin. */
static void
find_places(SetStore *store)
{
	SetCursor	cursor = store->base;
	const uint8 **places = MemoryContextAllocHuge(store->context,
												  Max(cursor.left, 1) * sizeof(uint8 *));

	for (uint64 i = 0; set_next(&cursor); i++)
		places[i] = cursor.element.start;
	store->places = places;
}

/* --- becoming flat ------------------------------------------------------- */

static Size
get_flat_size(ExpandedObjectHeader *header)
{
	SetVersion *version = (SetVersion *) header;

	if (version->flat == NULL)
		version->flat = flatten(version);
	return VARSIZE(version->flat);
}

static void
flatten_into(ExpandedObjectHeader *header, void *result, Size size)
{
	SetVersion *version = (SetVersion *) header;

	Assert(version->flat != NULL && size == VARSIZE(version->flat));
	memcpy(result, version->flat, size);
}

/* The flat set that a version stands for, in the version's context. */
static struct varlena *
flatten(SetVersion *version)
{
	MemoryContext old = MemoryContextSwitchTo(version->header.eoh_context);
	CrdtBuffer	out;
	SetItem    *items;
	int			n;

	crdt_start(&out, version->store->type);
	crdt_append_rest(&out, &version->vector);
	items = visible_items(version, &n);
	set_apply(&out, version->store->base, items, n);
	pfree(items);
	MemoryContextSwitchTo(old);
	/* what didn't grow may be large, as after a removal */
	return out.used > VARHDRSZ + CRDT_PREFIX_SIZE + version->store->size ?
		crdt_finish_mutation(&out) : crdt_finish(&out);
}

/* What a version sees changed, as set_apply() wants it. */
static SetItem *
visible_items(const SetVersion *version, int *n)
{
	changes_hash *changes = version->store->changes;
	SetItem    *items = MemoryContextAllocHuge(CurrentMemoryContext,
											   Max(changes->members, 1) * sizeof(SetItem));
	changes_iterator iterator;
	ChangedElement *element;

	*n = 0;
	changes_start_iterate(changes, &iterator);
	while ((element = changes_iterate(changes, &iterator)) != NULL)
	{
		const Change *change = visible_change(element, version->version);
		SetItem    *item = &items[*n];

		if (change == NULL)
			continue;
		item->payload = element->payload;
		item->trailer.at = change->trailer;
		item->trailer.end = change->trailer + change->trailer_size;
		item->present = change->present;
		(*n)++;
	}
	qsort(items, *n, sizeof(SetItem), compare_items);
	return items;
}

static int
compare_items(const void *a, const void *b)
{
	return crdt_compare_bytes(&((const SetItem *) a)->payload, &((const SetItem *) b)->payload);
}
