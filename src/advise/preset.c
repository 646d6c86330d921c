/*-------------------------------------------------------------------------
 *
 * preset.c
 *	  Policies for usual cases: consistency.presets, consistency.apply_preset().
 *
 * A case that is about a floor is of kind minimum, so that no session goes
 * below it.  One that is about saving waits is of kind default, so that
 * sessions that need more can have it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/columns.h"
#include "session/policy.h"

#define PRESET_COLUMNS	9

typedef struct Preset
{
	const char *name;
	const char *used_for;
	Policy		policy;
	const char *merging;		/* column types that fit; NULL: none */
	const char *beside;			/* what the policy doesn't say; NULL: nothing */
	const char *reason;
} Preset;

#define PRESET_POLICY(kind_, level_, staleness, timeout) \
	{ \
		.kind = (kind_), \
		.level = (level_), \
		.max_staleness_ms = (staleness), \
		.max_lag = -1, \
		.on_timeout = (timeout) \
	}
#define NO_BOUND (-1)
#define SECONDS 1000
#define MINUTES (60 * SECONDS)

/* Sorted from what demands most to what demands least. */
static const Preset presets[] = {
	{
		"payments",
		"payments, balances, limits: what is decided from a read can't be taken back",
		PRESET_POLICY(POLICY_MINIMUM, LEVEL_LINEARIZABLE, NO_BOUND, ON_TIMEOUT_ERROR),
		NULL,
		"synchronous_standby_names on all nodes, consistency.require_leader_fence = on, synchronous_commit of at least on",
		"a read shows every commit acknowledged before it began; rather none than an old one"
	},
	{
		"inventory_checkout",
		"reservations and stock as the checkout sees them",
		PRESET_POLICY(POLICY_MINIMUM, LEVEL_LINEARIZABLE, NO_BOUND, ON_TIMEOUT_UNSET),
		"bcounter, where several databases sell",
		"where one table serves display and checkout, give it inventory_display, and have the checkout say SET LOCAL consistency = 'linearizable'",
		"the last piece is sold once: the read before the sale misses no other sale"
	},
	{
		"chat",
		"messages and answers, comments, shared documents",
		PRESET_POLICY(POLICY_MINIMUM, LEVEL_CAUSAL, NO_BOUND, ON_TIMEOUT_UNSET),
		"orset for members, mv_register for titles",
		"hand on consistency.token with each message",
		"nobody sees an answer before its question"
	},
	{
		"cart",
		"shopping carts, drafts, what one user is working on",
		PRESET_POLICY(POLICY_MINIMUM, LEVEL_SESSION, NO_BOUND, ON_TIMEOUT_UNSET),
		"orset for items, ormap of pncounter for quantities",
		"keep consistency.token in the user's cookie",
		"what was put in is there with the next page, and doesn't vanish again"
	},
	{
		"profile",
		"profiles, settings, addresses",
		PRESET_POLICY(POLICY_MINIMUM, LEVEL_SESSION, NO_BOUND, ON_TIMEOUT_UNSET),
		"lww_register; mv_register where no edit may be lost",
		"keep consistency.token in the user's cookie",
		"who has changed something sees it; others may see it later"
	},
	{
		"inventory_display",
		"stock, seats and prices as lists show them",
		PRESET_POLICY(POLICY_DEFAULT, LEVEL_BOUNDED, 5 * SECONDS, ON_TIMEOUT_UNSET),
		NULL,
		"check again at the checkout, under linearizable",
		"a number that is some seconds old is shown in any case"
	},
	{
		"catalogue",
		"articles, descriptions, anything that editors change now and then",
		PRESET_POLICY(POLICY_DEFAULT, LEVEL_BOUNDED, 1 * MINUTES, ON_TIMEOUT_UNSET),
		NULL,
		"editors say SET consistency = 'session'",
		"readers don't notice a minute, and don't wait for what they have written elsewhere"
	},
	{
		"analytics",
		"reports, dashboards, exports",
		PRESET_POLICY(POLICY_DEFAULT, LEVEL_BOUNDED, 5 * MINUTES, ON_TIMEOUT_UNSET),
		"gcounter and gset, merged with merge()",
		"a role of its own, with ALTER ROLE ... SET consistency = 'bounded' and its consistency.max_staleness, covers all tables",
		"long reads belong at a replica; a replica that has stopped is noticed"
	},
	{
		"feed",
		"timelines, likes, views, suggestions",
		PRESET_POLICY(POLICY_DEFAULT, LEVEL_EVENTUAL, NO_BOUND, ON_TIMEOUT_UNSET),
		"gcounter for likes and views, gset for who has seen it",
		"where users look for their own post, profile is the better one",
		"nobody can tell whether an entry was late, so nothing is waited for"
	}
};

static const Preset *find_preset(const char *name);
static void put_preset(ReturnSetInfo *rsinfo, const Preset *preset);

PG_FUNCTION_INFO_V1(consistency_presets);
PG_FUNCTION_INFO_V1(consistency_apply_preset);

/* The function behind the view consistency.presets. */
Datum
consistency_presets(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(presets); i++)
		put_preset((ReturnSetInfo *) fcinfo->resultinfo, &presets[i]);
	return (Datum) 0;
}

static void
put_preset(ReturnSetInfo *rsinfo, const Preset *preset)
{
	const Policy *policy = &preset->policy;
	Datum		values[PRESET_COLUMNS] = {0};
	bool		nulls[PRESET_COLUMNS] = {false};

	column_put_text(values, nulls, 0, preset->name);
	column_put_text(values, nulls, 1, preset->used_for);
	column_put_text(values, nulls, 2, policy->kind == POLICY_MINIMUM ? "minimum" : "default");
	column_put_text(values, nulls, 3, level_name(policy->level));
	nulls[4] = policy->max_staleness_ms < 0;
	if (!nulls[4])
		values[4] = policy_interval_datum(policy->max_staleness_ms);
	column_put_text(values, nulls, 5, policy->on_timeout == ON_TIMEOUT_UNSET ? NULL :
					guc_on_timeout_name(policy->on_timeout));
	column_put_text(values, nulls, 6, preset->merging);
	column_put_text(values, nulls, 7, preset->beside);
	column_put_text(values, nulls, 8, preset->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * consistency.apply_preset(relation regclass, preset text)
 *		Set the relation's policy, as consistency.set_policy() does.
 */
Datum
consistency_apply_preset(PG_FUNCTION_ARGS)
{
	const Preset *preset;

	PreventCommandIfReadOnly("consistency.apply_preset()");
	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", i == 0 ? "relation" : "preset")));
	}
	preset = find_preset(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	policy_set(PG_GETARG_OID(0), &preset->policy);
	PG_RETURN_VOID();
}

static const Preset *
find_preset(const char *name)
{
	StringInfoData available;

	initStringInfo(&available);
	for (int i = 0; i < lengthof(presets); i++)
	{
		if (pg_strcasecmp(name, presets[i].name) == 0)
			return &presets[i];
		appendStringInfo(&available, "%s%s", i > 0 ? ", " : "", presets[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no preset \"%s\"", name),
			 errhint("Presets are %s; consistency.presets tells what each is for.", available.data)));
}
