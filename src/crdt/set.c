/*-------------------------------------------------------------------------
 *
 * set.c
 *	  Sets: what grow-only, two-phase and observed-remove sets have in common.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "crdt/json.h"
#include "crdt/set.h"

static void check_trailer(CrdtReader *reader, CrdtType type, const Vector *vector);
static int	varint_size(uint64 value);
static int	compare_items(const void *a, const void *b);

/* --- reading ------------------------------------------------------------- */

/* Take apart a set; of any of the types if CRDT_ANY is expected. */
CrdtState
set_state(const struct varlena *value, CrdtType expected)
{
	CrdtState	state = crdt_state(value, expected);

	if (state.type != CRDT_GSET && state.type != CRDT_TWOPSET && state.type != CRDT_ORSET)
		crdt_corrupted("it is of another type");
	return state;
}

/* Stand before the first element of a set. */
SetCursor
set_open(const CrdtState *state)
{
	CrdtReader	body = state->body;

	if (state->type == CRDT_ORSET)
		(void) dots_read_vector(&body);
	return set_open_elements(body, state->type);
}

/* The same for what begins with the number of elements. */
SetCursor
set_open_elements(CrdtReader elements, CrdtType type)
{
	SetCursor	cursor = {.type = type};

	cursor.left = crdt_read_varint(&elements);
	cursor.rest = elements;
	/* each takes a byte at least, for its length */
	if (cursor.left > crdt_left(&elements))
		crdt_corrupted("it ends too early");
	return cursor;
}

/* Look for an element, be it live or not, among those ahead. */
bool
set_find(SetCursor cursor, const CrdtReader *payload, SetElement *found)
{
	while (set_next(&cursor))
	{
		int			order = crdt_compare_bytes(&cursor.element.payload, payload);

		if (order < 0)
			continue;
		*found = cursor.element;
		return order == 0;
	}
	return false;
}

/* Raise an error unless the number and the elements to the end are canonical. */
void
set_check(CrdtReader elements, CrdtType type, const Vector *vector)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "set_check", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	uint64		n = crdt_read_minimal_varint(&elements);
	CrdtReader	last;

	for (uint64 i = 0; i < n; i++)
	{
		uint64		size = crdt_read_minimal_varint(&elements);
		CrdtReader	payload = crdt_read_bytes(&elements, size);

		CHECK_FOR_INTERRUPTS();
		crdt_element_check(&payload);
		if (i > 0 && crdt_compare_bytes(&last, &payload) >= 0)
			crdt_corrupted("elements don't ascend");
		check_trailer(&elements, type, vector);
		last = payload;
		MemoryContextReset(scratch);
	}
	if (!crdt_at_end(&elements))
		crdt_corrupted("something follows its last element");
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

static void
check_trailer(CrdtReader *reader, CrdtType type, const Vector *vector)
{
	if (type == CRDT_ORSET && dots_check_list(vector, reader) == 0)
		crdt_corrupted("an element has no dots");
	if (type == CRDT_TWOPSET && *crdt_read_bytes(reader, 1).at > TWOPSET_REMOVED)
		crdt_corrupted("an element is neither added nor removed");
}

/* Append the elements ahead as a JSON array: the live ones, or all others. */
void
set_format(StringInfo out, SetCursor cursor, bool live)
{
	const char *separator = "";

	appendStringInfoChar(out, '[');
	while (set_next(&cursor))
	{
		if (set_is_live(&cursor.element, cursor.type) != live)
			continue;
		appendStringInfoString(out, separator);
		appendBinaryStringInfo(out, (const char *) cursor.element.payload.at,
							   crdt_left(&cursor.element.payload));
		separator = ", ";
	}
	appendStringInfoChar(out, ']');
}

/* Is it an object?  Some sets may also be written as an array. */
bool
set_json_is_object(const JsonbValue *json)
{
	return json->type == jbvBinary && JsonContainerIsObject(json->val.binary.data);
}

/* --- writing ------------------------------------------------------------- */

static int
varint_size(uint64 value)
{
	int			size = 1;

	while (value >>= 7)
		size++;
	return size;
}

/*
 * set_begin
 *		Begin to append a set to what precedes its elements.
 *
 * There may be so many elements at most.  They are expected to take about so
 * many bytes, which is no limit.
 */
void
set_begin(SetWriter *writer, CrdtBuffer *out, uint64 most, Size bytes)
{
	writer->out = out;
	writer->n = 0;
	writer->number_at = out->used;
	writer->number_size = varint_size(most);
	crdt_reserve(out, CRDT_VARINT_SIZE);
	out->used += writer->number_size;
	/* where that would be too much, there is hope that it won't be needed */
	if (bytes <= MaxAllocSize - out->used)
		crdt_reserve(out, bytes);
}

/* The set is complete. */
void
set_end(SetWriter *writer)
{
	CrdtBuffer *out = writer->out;
	Size		elements_at = writer->number_at + writer->number_size;
	int			spare = writer->number_size - varint_size(writer->n);
	CrdtBuffer	number = {.data = out->data,.used = writer->number_at};

	Assert(spare >= 0);
	if (spare > 0)
		memmove(out->data + elements_at - spare, out->data + elements_at, out->used - elements_at);
	out->used -= spare;
	crdt_put_varint(&number, writer->n);
}

/* --- operations ---------------------------------------------------------- */

/*
 * set_apply
 *		Append a set with some elements changed.
 *
 * The cursor hasn't moved yet.  Items ascend, each element occurs once; elements
 * that aren't among them stay as they are.
 */
void
set_apply(CrdtBuffer *out, SetCursor base, const SetItem *items, int n)
{
	SetWriter	writer;
	Size		bytes = crdt_left(&base.rest);
	bool		more;

	for (int i = 0; i < n; i++)
		bytes += CRDT_VARINT_SIZE + crdt_left(&items[i].payload) + crdt_left(&items[i].trailer);
	set_begin(&writer, out, base.left + n, bytes);

	more = set_next(&base);
	for (int i = 0; i < n; i++)
	{
		const SetItem *item = &items[i];
		const uint8 *run = base.element.start;
		uint64		run_n = 0;
		int			order = 1;

		while (more && (order = crdt_compare_bytes(&base.element.payload, &item->payload)) < 0)
		{
			run_n++;
			more = set_next(&base);
		}
		if (run_n > 0)
			set_append_run(&writer, run, more ? base.element.start : base.rest.at, run_n);
		if (item->present)
			set_append(&writer, &item->payload, &item->trailer);
		if (more && order == 0)
			more = set_next(&base);
	}
	if (more)
		set_append_run(&writer, base.element.start, base.rest.end, base.left + 1);
	set_end(&writer);
}

/* --- lists of elements --------------------------------------------------- */

void
set_list_init(SetList *list)
{
	list->n = 0;
	list->size = 8;
	list->items = palloc(list->size * sizeof(SetItem));
	list->scratch = AllocSetContextCreate(CurrentMemoryContext, "elements of a set", ALLOCSET_DEFAULT_SIZES);
}

/* Add a JSON value as an element that is present; an error if it is too long. */
SetItem *
set_list_add(SetList *list, JsonbValue *value, CrdtReader trailer)
{
	MemoryContext old = MemoryContextSwitchTo(list->scratch);
	CrdtReader	element = crdt_element(value);
	Size		size = crdt_left(&element);
	SetItem    *item;
	uint8	   *copy;

	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(old);
	if (list->n == list->size)
	{
		list->size *= 2;
		list->items = repalloc_huge(list->items, list->size * sizeof(SetItem));
	}
	item = &list->items[list->n++];
	copy = palloc(size);
	memcpy(copy, element.at, size);
	item->payload.at = copy;
	item->payload.end = copy + size;
	item->trailer = trailer;
	item->present = true;
	MemoryContextReset(list->scratch);
	return item;
}

/* Add the elements of a JSON array; an error if it is none. */
void
set_list_add_json(SetList *list, JsonbValue *array, CrdtReader trailer)
{
	CrdtJsonMembers members = crdt_json_array(array);

	while (crdt_json_next(&members))
		set_list_add(list, &members.value, trailer);
}

/* Add the elements of a jsonb[], whatever its dimensions; nulls don't count. */
void
set_list_add_array(SetList *list, ArrayType *array)
{
	CrdtReader	no_trailer = {NULL, NULL};
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, JSONBOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
		{
			JsonbValue	value = crdt_json_value(DatumGetJsonbP(values[i]));

			set_list_add(list, &value, no_trailer);
		}
	}
}

/* By payload, then by trailer. */
static int
compare_items(const void *a, const void *b)
{
	const SetItem *item_a = a;
	const SetItem *item_b = b;
	int			order = crdt_compare_bytes(&item_a->payload, &item_b->payload);

	return order != 0 ? order : crdt_compare_bytes(&item_a->trailer, &item_b->trailer);
}

/*
 * Make the list one that set_apply() takes: of what occurs more than once, that
 * with the largest trailer is left.  Returns how many were dropped.
 */
int
set_list_sort(SetList *list)
{
	int			n = 0;
	int			dropped;

	qsort(list->items, list->n, sizeof(SetItem), compare_items);
	for (int i = 0; i < list->n; i++)
	{
		if (n > 0 && crdt_compare_bytes(&list->items[n - 1].payload, &list->items[i].payload) == 0)
			n--;
		list->items[n++] = list->items[i];
	}
	dropped = list->n - n;
	list->n = n;
	return dropped;
}

/* Append the set of the elements of a list.  Returns how many were there twice. */
int
set_list_write(CrdtBuffer *out, SetList *list, CrdtType type)
{
	SetCursor	nothing = {.type = type};
	int			dropped = set_list_sort(list);

	set_apply(out, nothing, list->items, list->n);
	return dropped;
}

/* The set of the elements of a JSON array, all with one trailer, as a value. */
struct varlena *
set_of_array(Jsonb *array, CrdtType type, CrdtReader trailer)
{
	JsonbValue	json = crdt_json_value(array);
	SetList		list;
	CrdtBuffer	out;

	set_list_init(&list);
	set_list_add_json(&list, &json, trailer);
	crdt_start(&out, type);
	set_list_write(&out, &list, type);
	return crdt_finish_mutation(&out);
}

/* How many elements of a sorted list are members of a set; no more than enough. */
int
set_list_count(const SetList *list, SetCursor cursor, int enough)
{
	bool		more = set_next(&cursor);
	int			count = 0;

	for (int i = 0; i < list->n && count < enough; i++)
	{
		int			order = 1;

		while (more && (order = crdt_compare_bytes(&cursor.element.payload, &list->items[i].payload)) < 0)
			more = set_next(&cursor);
		if (!more)
			break;
		if (order == 0 && set_is_live(&cursor.element, cursor.type))
			count++;
	}
	return count;
}
