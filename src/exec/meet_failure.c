/*-------------------------------------------------------------------------
 *
 * meet_failure.c
 *	  What becomes of a read whose requirement can't be met.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"

#include "core/errors.h"
#include "core/violations.h"
#include "exec/meet_failure.h"
#include "node/node_state.h"
#include "stats/read_stats.h"

static void count_timeout(MeetFailure failure);
static void answer_stale(const Declaration *declaration, MeetFailure failure);
static const char *failure_text(MeetFailure failure);

/* A requirement wasn't met: answer all the same, with a warning, or not at all. */
void
meet_failure_handle(MeetFailure failure, const Declaration *declaration, const Requirement *requirement)
{
	if (failure == MEET_OK)
		return;
	count_timeout(failure);
	if (declaration->on_timeout != ON_TIMEOUT_STALE || failure == MEET_NO_FENCE)
	{
		read_stats_refused(declaration);
		meet_failure_raise(failure, requirement);
	}
	answer_stale(declaration, failure);
}

/* A requirement wasn't met here, and the primary serves the read. */
void
meet_failure_fall_back(MeetFailure failure)
{
	count_timeout(failure);
	last_read_current()->fallback = FALLBACK_WAIT;
}

/* Was a wait in vain? */
static void
count_timeout(MeetFailure failure)
{
	switch (failure)
	{
		case MEET_REPLAY_BEHIND:
		case MEET_NOT_FRESH:
		case MEET_NO_HEARTBEAT:
		case MEET_NO_QUORUM:
		case MEET_NOT_VISIBLE:
		case MEET_NOT_CONFIRMED:
			last_read_current()->timeouts++;
			break;
		case MEET_OK:
		case MEET_GIVEN_UP:
		case MEET_NO_FENCE:
		case MEET_NOT_PRIMARY:
		case MEET_DEPOSED:
			break;
	}
}

static void
answer_stale(const Declaration *declaration, MeetFailure failure)
{
	LastRead   *last_read = last_read_current();

	last_read->place = READ_STALE;
	last_read->reason = failure_text(failure);
	violations_record(VIOLATION_STALE_ANSWER, "level %s, decided by %s: %s",
					  level_name(declaration->level),
					  declaration_source_text(declaration->source, declaration->relation),
					  failure_text(failure));
	ereport(WARNING,
			(errcode(ERRCODE_WARNING_STALE_ANSWER),
			 errmsg("answer may be older than consistency level \"%s\" promises",
					level_name(declaration->level)),
			 errdetail("%s.", failure_text(failure)),
			 errhint("That is what consistency.on_timeout = stale asks for.")));
}

/* Raise what is wrong as an error. */
void
meet_failure_raise(MeetFailure failure, const Requirement *requirement)
{
	char		wanted[POSITION_TEXT_SIZE];
	char		reached[POSITION_TEXT_SIZE];
	Position	replayed = POSITION_NONE;
	const ReadQuorum *quorum = &requirement->read_quorum;
	bool		for_quorum = quorum->gathered > 0 && !quorum->holds_here;

	switch (failure)
	{
		case MEET_REPLAY_BEHIND:
		case MEET_GIVEN_UP:
			replayed.lsn = GetXLogReplayRecPtr(&replayed.tli);
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("replica did not reach position %s in time",
							position_text(for_quorum ? quorum->position :
										  requirement->position_here, wanted)),
					 errdetail("Replay has reached position %s.", position_text(replayed, reached)),
					 errhint("Retry, raise consistency.wait_timeout, connect to the primary, or accept older data with SET consistency = 'eventual'.")));
			break;
		case MEET_NOT_FRESH:
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("replica did not become fresh enough in time"),
					 errdetail("It misses writes that are older, or more, than the level \"bounded\" allows."),
					 errhint("Retry, raise consistency.wait_timeout, consistency.max_staleness or consistency.max_lag, or connect to the primary.")));
			break;
		case MEET_NO_HEARTBEAT:
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("replica cannot tell how stale it is"),
					 errdetail("The primary did not answer its heartbeats in time, or no primary is declared."),
					 errhint("See the view consistency.nodes for the primary's state. It must be declared with CREATE SERVER, and have a user mapping for consistency.monitor_role.")));
			break;
		case MEET_NO_QUORUM:
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("too few nodes have told in time how far they are"),
					 errdetail("Of the %d declared nodes, a read quorum of %d must answer, and agree on what was written.",
							   node_state_members(),
							   read_quorum_nodes(quorum, node_state_members())),
					 errhint("See the view consistency.nodes for their state. Each must have a user mapping for consistency.monitor_role. Or raise consistency.wait_timeout, or lower consistency.read_quorum.")));
			break;
		case MEET_NOT_VISIBLE:
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("a transaction that another node may have shown is still not visible here"),
					 errdetail("It is committed, but waits for a synchronous standby's acknowledgement."),
					 errhint("See pg_stat_replication for the standby, or raise consistency.wait_timeout.")));
			break;
		case MEET_NOT_CONFIRMED:
			ereport(ERROR,
					(errcode(ERRCODE_CONSISTENCY_TIMEOUT),
					 errmsg("synchronous standbys did not confirm in time that this server is the primary"),
					 errhint("See pg_stat_replication for them. If another server was promoted, connect to that one.")));
			break;
		case MEET_NO_FENCE:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("no synchronous standby can confirm that this server is the primary"),
					 errhint("Set synchronous_standby_names, or turn consistency.require_leader_fence off.")));
			break;
		case MEET_NOT_PRIMARY:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("linearizable reads run at the primary only"),
					 errdetail("This statement can't be sent there from a replica, or no primary is known."),
					 errhint("Connect to the primary, or use SET consistency = 'session'.")));
			break;
		case MEET_DEPOSED:
			violations_record(VIOLATION_REGRESSION, "this server is on timeline %u, and another one is the primary on a newer one",
							  GetWALInsertionTimeLine());
			ereport(ERROR,
					(errcode(ERRCODE_POSITION_LOST),
					 errmsg("this server is not the primary any more"),
					 errdetail("This server is on timeline %u, and another one is the primary on a newer one.",
							   GetWALInsertionTimeLine()),
					 errhint("Connect to the current primary.")));
			break;
		case MEET_OK:
			break;
	}
	elog(ERROR, "no failure to raise");
}

/* The same in a few words. */
static const char *
failure_text(MeetFailure failure)
{
	switch (failure)
	{
		case MEET_REPLAY_BEHIND:
		case MEET_GIVEN_UP:
			return "replica did not reach the position in time";
		case MEET_NOT_FRESH:
			return "replica did not become fresh enough in time";
		case MEET_NO_HEARTBEAT:
			return "replica cannot tell how stale it is";
		case MEET_NO_QUORUM:
			return "too few nodes have told in time how far they are";
		case MEET_NOT_VISIBLE:
			return "commits that another node may have shown are not visible yet";
		case MEET_NOT_CONFIRMED:
			return "synchronous standbys did not confirm that this server is the primary";
		case MEET_NO_FENCE:
			return "no synchronous standby can confirm that this server is the primary";
		case MEET_NOT_PRIMARY:
			return "this server is a replica";
		case MEET_DEPOSED:
			return "this server is not the primary any more";
		case MEET_OK:
			break;
	}
	return "";
}
