/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  Policies of tables: their labels, and the functions that set them.
 *
 * A label reads like
 *
 *		minimum=bounded max_staleness=1000ms max_lag=65536B on_timeout=error
 *
 * with what isn't said left out.  A policy has one text only, so that labels
 * can be compared; what another program writes must be that text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/seclabel.h"
#include "common/string.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "session/policy.h"
#include "session/quorum.h"

#define POLICY_PROVIDER "consistency"
#define POLICY_COLUMNS	6

/* arguments of consistency.set_policy() */
enum
{
	ARG_RELATION,
	ARG_LEVEL,
	ARG_KIND,
	ARG_MAX_STALENESS,
	ARG_MAX_LAG,
	ARG_ON_TIMEOUT,
	ARG_WRITE_QUORUM
};

static void check_label(const ObjectAddress *object, const char *label);
static void invalidate_with_descendants(Oid relid);
static ObjectType label_object_type(Oid relid);
static char *own_label(Oid relid);
static void set_label(Oid relid, char *label);
static void check_policy(const Policy *policy);
static bool parse_label(const char *label, Policy *policy);
static bool parse_field(const char *name, const char *value, Policy *policy);
static bool parse_kind(const char *name, PolicyKind *kind);
static bool parse_number(const char *text, const char *unit, int *number);
static char *format_label(const Policy *policy);
static void require_argument(FunctionCallInfo fcinfo, int number, const char *name);
static ConsistencyLevel level_argument(FunctionCallInfo fcinfo);
static PolicyKind kind_argument(FunctionCallInfo fcinfo);
static int	max_staleness_argument(FunctionCallInfo fcinfo);
static int	max_lag_argument(FunctionCallInfo fcinfo);
static OnTimeout on_timeout_argument(FunctionCallInfo fcinfo);
static int	write_quorum_argument(FunctionCallInfo fcinfo);

PG_FUNCTION_INFO_V1(consistency_set_policy);
PG_FUNCTION_INFO_V1(consistency_drop_policy);
PG_FUNCTION_INFO_V1(consistency_policy_fields);

static const Policy no_policy = {
	.level = LEVEL_UNSET,
	.max_staleness_ms = -1,
	.max_lag = -1,
	.on_timeout = ON_TIMEOUT_UNSET,
	.write_quorum = QUORUM_UNSET
};

static const char *const kind_names[] = {
	[POLICY_MINIMUM] = "minimum",
	[POLICY_DEFAULT] = "default"
};

/* Register the provider: preloaded or not, so that dumps can be restored. */
void
policy_init(void)
{
	register_label_provider(POLICY_PROVIDER, check_label);
}

/*
 * check_label
 *		Called before a label of ours is set, or dropped (NULL): raises an
 *		error for what isn't a policy, and makes all sessions look it up anew.
 */
static void
check_label(const ObjectAddress *object, const char *label)
{
	Policy		policy;
	char	   *text;

	if (object->classId != RelationRelationId || object->objectSubId != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s can't have a consistency policy",
						getObjectDescription(object, false)),
				 errhint("Policies are for tables, partitioned tables, views and materialized views.")));
	label_object_type(object->objectId);

	if (label)
	{
		if (!parse_label(label, &policy))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid consistency policy \"%s\"", label),
					 errhint("consistency.set_policy() writes policies, such as \"minimum=bounded max_staleness=1000ms on_timeout=error\".")));
		check_policy(&policy);
		text = format_label(&policy);

		if (strcmp(label, text) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid consistency policy \"%s\"", label),
					 errhint("Write it as \"%s\".", text)));
	}
	invalidate_with_descendants(object->objectId);
}

/*
 * Send relation cache invalidations for a table and all that inherit from it,
 * with the commit, to all sessions here and at the replicas.  pg_seclabel
 * sends none itself.
 */
static void
invalidate_with_descendants(Oid relid)
{
	List	   *relids = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *cell;

	foreach(cell, relids)
	{
		/* we hold no lock on a child, which may be gone */
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		CacheInvalidateRelcacheByTuple(tuple);
		ReleaseSysCache(tuple);
	}
	list_free(relids);
}

/* What SECURITY LABEL calls a relation; an error if it can't have a policy. */
static ObjectType
label_object_type(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (relid < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("system relation \"%s\" can't have a consistency policy",
						get_rel_name(relid)),
				 errhint("Policies are for tables and views of your own.")));
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return OBJECT_TABLE;
		case RELKIND_VIEW:
			return OBJECT_VIEW;
		case RELKIND_MATVIEW:
			return OBJECT_MATVIEW;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("relation \"%s\" can't have a consistency policy",
							get_rel_name(relid)),
					 errhint("Policies are for tables, partitioned tables, views and materialized views.")));
	}
}

/*
 * policy_read
 *		The relation's own policy, from the catalog; false if it has none.
 */
bool
policy_read(Oid relid, Policy *policy)
{
	char	   *label = own_label(relid);

	if (label == NULL)
		return false;
	if (!parse_label(label, policy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("can't read the consistency policy \"%s\" of relation \"%s\"",
						label, get_rel_name(relid)),
				 errhint("Set it anew with consistency.set_policy(), or drop it with consistency.drop_policy().")));
	policy->relation = relid;
	pfree(label);
	return true;
}

/* The relation's label, palloc'd; NULL if it has none. */
static char *
own_label(Oid relid)
{
	ObjectAddress address;

	ObjectAddressSet(address, RelationRelationId, relid);
	return GetSecurityLabel(&address, POLICY_PROVIDER);
}

/*
 * policy_set
 *		Set the relation's own policy, in place of the one that it has.  Only
 *		the owner may; the provider checks what it says as a whole.
 */
void
policy_set(Oid relid, const Policy *policy)
{
	set_label(relid, format_label(policy));
}

/* Set the relation's label, or drop it (NULL), as SECURITY LABEL does. */
static void
set_label(Oid relid, char *label)
{
	SecLabelStmt *stmt = makeNode(SecLabelStmt);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	stmt->objtype = label_object_type(relid);
	stmt->object = (Node *) list_make2(makeString(schema), makeString(name));
	stmt->provider = POLICY_PROVIDER;
	stmt->label = label;

	/* it looks the name up again */
	if (ExecSecLabelStmt(stmt).objectId != relid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("relation \"%s\" was renamed meanwhile", name),
				 errhint("Try again.")));

	/* so that it can be set twice in one statement */
	CommandCounterIncrement();
}

/* Raise an error if the policy promises nothing definite. */
static void
check_policy(const Policy *policy)
{
	bool		has_bound = policy->max_staleness_ms >= 0 || policy->max_lag >= 0;

	if (has_bound && policy->level != LEVEL_BOUNDED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_staleness and max_lag are bounds of level \"bounded\", not of \"%s\"",
						level_name(policy->level)),
				 errhint("Leave them out, or choose the level \"bounded\".")));
	if (!has_bound && policy->level == LEVEL_BOUNDED && policy->kind == POLICY_MINIMUM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a minimum of \"bounded\" needs max_staleness or max_lag"),
				 errdetail("Without a bound of its own it would be no more than each session's consistency.max_staleness."),
				 errhint("Say, for example, max_staleness => '5 s'.")));
	if (policy->write_quorum != QUORUM_UNSET && policy->kind != POLICY_MINIMUM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("write_quorum goes with a minimum only"),
				 errhint("Sessions have consistency.write_quorum for a default.")));
}

/* Read a label; false if it isn't a policy. */
static bool
parse_label(const char *label, Policy *policy)
{
	char	   *copy = pstrdup(label);
	char	   *rest;
	bool		ok = true;

	*policy = no_policy;
	for (char *name = strtok_r(copy, " ", &rest); name && ok; name = strtok_r(NULL, " ", &rest))
	{
		char	   *value = strchr(name, '=');

		ok = value != NULL;
		if (ok)
		{
			*value++ = '\0';
			ok = parse_field(name, value, policy);
		}
	}
	pfree(copy);
	return ok && policy->level != LEVEL_UNSET;
}

/* Read one field of a label. */
static bool
parse_field(const char *name, const char *value, Policy *policy)
{
	if (strcmp(name, "max_staleness") == 0)
		return parse_number(value, "ms", &policy->max_staleness_ms);
	if (strcmp(name, "max_lag") == 0)
		return parse_number(value, "B", &policy->max_lag);
	if (strcmp(name, "on_timeout") == 0)
	{
		policy->on_timeout = guc_on_timeout_parse(value);
		return policy->on_timeout != ON_TIMEOUT_UNSET;
	}
	if (strcmp(name, "write_quorum") == 0)
		return quorum_parse(value, &policy->write_quorum);
	if (policy->level != LEVEL_UNSET || !parse_kind(name, &policy->kind))
		return false;
	policy->level = level_parse(value);
	return policy->level != LEVEL_UNSET;
}

static bool
parse_kind(const char *name, PolicyKind *kind)
{
	for (int i = 0; i < lengthof(kind_names); i++)
	{
		if (pg_strcasecmp(name, kind_names[i]) == 0)
		{
			*kind = i;
			return true;
		}
	}
	return false;
}

/* Read a number that isn't negative, with its unit behind it. */
static bool
parse_number(const char *text, const char *unit, int *number)
{
	char	   *end;

	errno = 0;
	*number = strtoint(text, &end, 10);
	return errno == 0 && end != text &&*number >= 0 && strcmp(end, unit) == 0;
}

/* The label of a policy, palloc'd. */
static char *
format_label(const Policy *policy)
{
	StringInfoData label;

	initStringInfo(&label);
	appendStringInfo(&label, "%s=%s", kind_names[policy->kind], level_name(policy->level));
	if (policy->max_staleness_ms >= 0)
		appendStringInfo(&label, " max_staleness=%dms", policy->max_staleness_ms);
	if (policy->max_lag >= 0)
		appendStringInfo(&label, " max_lag=%dB", policy->max_lag);
	if (policy->on_timeout != ON_TIMEOUT_UNSET)
		appendStringInfo(&label, " on_timeout=%s", guc_on_timeout_name(policy->on_timeout));
	if (policy->write_quorum != QUORUM_UNSET)
		appendStringInfo(&label, " write_quorum=%s", quorum_text(policy->write_quorum));
	return label.data;
}

/*
 * consistency.set_policy(relation regclass, level text, kind text,
 *						  max_staleness interval, max_lag bigint, on_timeout text,
 *						  write_quorum text)
 *		Only the owner may, as SECURITY LABEL checks.
 */
Datum
consistency_set_policy(PG_FUNCTION_ARGS)
{
	Policy		policy = no_policy;

	PreventCommandIfReadOnly("consistency.set_policy()");
	require_argument(fcinfo, ARG_RELATION, "relation");
	policy.level = level_argument(fcinfo);
	policy.kind = kind_argument(fcinfo);
	policy.max_staleness_ms = max_staleness_argument(fcinfo);
	policy.max_lag = max_lag_argument(fcinfo);
	policy.on_timeout = on_timeout_argument(fcinfo);
	policy.write_quorum = write_quorum_argument(fcinfo);

	policy_set(PG_GETARG_OID(ARG_RELATION), &policy);
	PG_RETURN_VOID();
}

/*
 * consistency.drop_policy(relation regclass)
 *		A notice if there is none.
 */
Datum
consistency_drop_policy(PG_FUNCTION_ARGS)
{
	Oid			relid;
	bool		had_policy;

	PreventCommandIfReadOnly("consistency.drop_policy()");
	require_argument(fcinfo, ARG_RELATION, "relation");
	relid = PG_GETARG_OID(ARG_RELATION);

	had_policy = own_label(relid) != NULL;
	set_label(relid, NULL);		/* checks rights even if there is none */
	if (!had_policy)
		ereport(NOTICE,
				(errmsg("relation \"%s\" has no consistency policy of its own, skipping",
						get_rel_name(relid))));
	PG_RETURN_VOID();
}

/*
 * consistency.policy_fields(label text)
 *		kind, level, max_staleness, max_lag, on_timeout, write_quorum; all null if
 *		the label can't be read
 */
Datum
consistency_policy_fields(PG_FUNCTION_ARGS)
{
	Datum		values[POLICY_COLUMNS] = {0};
	bool		nulls[POLICY_COLUMNS];
	TupleDesc	desc;
	Policy		policy;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(nulls, true, sizeof(nulls));

	if (parse_label(text_to_cstring(PG_GETARG_TEXT_PP(0)), &policy))
	{
		values[0] = CStringGetTextDatum(kind_names[policy.kind]);
		values[1] = CStringGetTextDatum(level_name(policy.level));
		nulls[0] = nulls[1] = false;
		if (policy.max_staleness_ms >= 0)
		{
			values[2] = policy_interval_datum(policy.max_staleness_ms);
			nulls[2] = false;
		}
		if (policy.max_lag >= 0)
		{
			values[3] = Int64GetDatum(policy.max_lag);
			nulls[3] = false;
		}
		if (policy.on_timeout != ON_TIMEOUT_UNSET)
		{
			values[4] = CStringGetTextDatum(guc_on_timeout_name(policy.on_timeout));
			nulls[4] = false;
		}
		if (policy.write_quorum != QUORUM_UNSET)
		{
			values[5] = CStringGetTextDatum(quorum_text(policy.write_quorum));
			nulls[5] = false;
		}
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

static void
require_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

static ConsistencyLevel
level_argument(FunctionCallInfo fcinfo)
{
	ConsistencyLevel level;
	char	   *name;

	require_argument(fcinfo, ARG_LEVEL, "level");
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_LEVEL));
	level = level_parse(name);
	if (level == LEVEL_UNSET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid consistency level \"%s\"", name),
				 errhint("Levels are linearizable, sequential, causal, bounded, session, eventual and weak.")));
	return level;
}

static PolicyKind
kind_argument(FunctionCallInfo fcinfo)
{
	PolicyKind	kind;
	char	   *name;

	require_argument(fcinfo, ARG_KIND, "kind");
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND));
	if (!parse_kind(name, &kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid kind of policy \"%s\"", name),
				 errhint("Kinds are minimum (no session goes below it) and default (for sessions that declare nothing).")));
	return kind;
}

/* Milliseconds; -1 if not said. */
static int
max_staleness_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(ARG_MAX_STALENESS))
		return -1;
	return policy_interval_ms(PG_GETARG_INTERVAL_P(ARG_MAX_STALENESS), "max_staleness");
}

/*
 * policy_interval_ms
 *		Milliseconds of a bound in time, rounded down, so that the promise is
 *		kept.  An error, that names the argument, for what can't be a bound.
 */
int
policy_interval_ms(const Interval *interval, const char *argument)
{
	int64		ms;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not contain months or years", argument),
				 errhint("Say it in days, or in smaller units.")));

	ms = interval->day * (SECS_PER_DAY * INT64CONST(1000)) + interval->time / 1000;
	if (interval->time % 1000 < 0)
		ms--;
	if (ms < 0 || ms > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is out of range", argument),
				 errhint("It is from 0 to %d milliseconds (24 days).", INT_MAX)));
	return (int) ms;
}

/* Bytes; -1 if not said. */
static int
max_lag_argument(FunctionCallInfo fcinfo)
{
	int64		bytes;

	if (PG_ARGISNULL(ARG_MAX_LAG))
		return -1;
	bytes = PG_GETARG_INT64(ARG_MAX_LAG);
	if (bytes < 0 || bytes > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("max_lag is out of range"),
				 errhint("It is from 0 to %d bytes.", INT_MAX)));
	return (int) bytes;
}

static OnTimeout
on_timeout_argument(FunctionCallInfo fcinfo)
{
	OnTimeout	on_timeout;
	char	   *name;

	if (PG_ARGISNULL(ARG_ON_TIMEOUT))
		return ON_TIMEOUT_UNSET;
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_TIMEOUT));
	on_timeout = guc_on_timeout_parse(name);
	if (on_timeout == ON_TIMEOUT_UNSET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for on_timeout: \"%s\"", name),
				 errhint("Available values: primary, error, stale.")));
	return on_timeout;
}

static int
write_quorum_argument(FunctionCallInfo fcinfo)
{
	int			quorum = QUORUM_UNSET;

	if (!PG_ARGISNULL(ARG_WRITE_QUORUM) &&
		!quorum_parse(text_to_cstring(PG_GETARG_TEXT_PP(ARG_WRITE_QUORUM)), &quorum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for write_quorum"),
				 errhint(QUORUM_HINT)));
	return quorum;
}

/* The same as an interval. */
Datum
policy_interval_datum(int ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = ms * INT64CONST(1000);
	return IntervalPGetDatum(interval);
}
