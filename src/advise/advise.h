/*-------------------------------------------------------------------------
 *
 * advise.h
 *	  Which levels this server's own statistics speak for:
 *	  consistency.advise().
 *
 * advise_collect.c and advise_statements.c gather what is counted anyway;
 * advise_table.c and advise_declared.c judge it, with the words of
 * advise_cost.c.  These three are pure: facts in, advice out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ADVISE_H
#define CONSISTENCY_ADVISE_H

#include "nodes/pg_list.h"

#include "session/policy.h"

/* Below that many reads there is nothing to say. */
#define ADVISE_MIN_READS 1000

/* What pg_stat_statements tells. */
typedef struct AdviseCalls
{
	int64		reads;			/* statements that only read */
	double		read_ms;		/* that they took, in all */
	int64		writes;			/* INSERT, UPDATE, DELETE, MERGE */
} AdviseCalls;

typedef struct AdviseTable
{
	Oid			relid;			/* the root, if it is partitioned */
	int64		reads;			/* scans at this server */
	int64		writes;			/* rows inserted, updated, deleted; -1: not
								 * known, as at a replica */
	List	   *refers_to;		/* Oids: foreign keys lead there */
	AdviseCalls calls;			/* that name it */

	/* what readers get who declare nothing, and which policies say so */
	ConsistencyLevel level;
	int			max_staleness_ms;	/* -1: no bound in time */
	int			max_lag;		/* -1: no bound in bytes */
	int			npolicies;
	Policy		level_policy;	/* .relation invalid: it is the default level */
	Policy		bound_policy;	/* the same, of the bound */
} AdviseTable;

/* Levels that ALTER ROLE, ALTER DATABASE have set. */
typedef struct AdviseDeclared
{
	Oid			roleid;			/* invalid: all roles */
	const char *role;			/* NULL: all */
	const char *database;		/* NULL: all */
	ConsistencyLevel level;		/* LEVEL_UNSET: not set */
	ConsistencyLevel minimum;	/* the same */
	int			max_staleness_ms;	/* as set there, or here by default */
	AdviseCalls calls;			/* the role's */
} AdviseDeclared;

typedef struct AdviseFacts
{
	bool		in_recovery;
	bool		lag_is_shown;	/* may the caller see it? */
	int			nreplicas;		/* that are up, their lag known */
	int		   *lag_ms;			/* of each */
	int			monitor_interval_ms;
	double		seconds;		/* that have been counted; 0: not known */
	bool		has_statements; /* could pg_stat_statements be read? */
	List	   *tables;			/* AdviseTable */
	List	   *declared;		/* AdviseDeclared */
	List	   *advice;			/* Advice, as it was found */
} AdviseFacts;

typedef struct Advice
{
	Oid			relid;			/* invalid: not about a table */
	const char *finding;
	ConsistencyLevel now;		/* LEVEL_UNSET: not about a level */
	ConsistencyLevel advised;	/* the same */
	const char *cost;			/* NULL, as the next two: nothing to say */
	const char *statement;
	const char *reason;
} Advice;

extern void advise_collect(AdviseFacts *facts);
extern void advise_statements(AdviseFacts *facts);
extern AdviseTable *advise_find_table(const AdviseFacts *facts, Oid relid);

extern void advise_tables(AdviseFacts *facts);
extern void advise_declared(AdviseFacts *facts);

/* advise_cost.c */
extern int	advise_worst_lag(const AdviseFacts *facts);
extern int	advise_behind(const AdviseFacts *facts, int ms);
extern int	advise_bound(const AdviseFacts *facts, int at_least_ms);
extern int64 advise_total_reads(const AdviseFacts *facts);
extern int64 advise_total_writes(const AdviseFacts *facts);
extern char *advise_share(double part, double whole);
extern char *advise_rate(const AdviseFacts *facts, int64 count);
extern char *advise_cost_of_session(const AdviseFacts *facts, const char *table,
									int64 reads, int64 writes);
extern char *advise_cost_of_bound(const AdviseFacts *facts, int ms);
extern char *advise_cost_of_asking(const AdviseFacts *facts, int ms);
extern char *advise_cost_of_calls(const AdviseFacts *facts, const AdviseCalls *calls);

#endif							/* CONSISTENCY_ADVISE_H */
