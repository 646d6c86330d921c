/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What undermines a promise in this cluster: consistency.check().
 *
 * check_collect.c asks every node for facts; check_node.c and check_cluster.c
 * judge them, each node by itself and all of them together.  These two are
 * pure: facts in, findings out.
 *
 * What later stages know of this very database they look for by themselves
 * (check_register()).
 *
 * A fact is a name and a value, both texts, as consistency.node_facts() (in
 * check.sql) tells them.  One that is missing is not judged: the node may run
 * another version of this library.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CHECK_H
#define CONSISTENCY_CHECK_H

#include "nodes/pg_list.h"

#include "remote/remote_error.h"

/* Sorted as findings are shown. */
typedef enum CheckSeverity
{
	CHECK_ERROR,				/* a promise can be broken, or can't be made */
	CHECK_WARNING,				/* a promise holds only under a condition */
	CHECK_NOTICE				/* will cost availability or performance */
} CheckSeverity;

typedef struct CheckFinding
{
	CheckSeverity severity;
	const char *node;			/* where the mend is to be done; NULL: the
								 * whole cluster */
	const char *subject;		/* a setting, or what else it is about */
	const char *problem;
	const char *mend;			/* what to do, or to run there */
} CheckFinding;

typedef struct CheckFact
{
	const char *name;
	const char *value;
} CheckFact;

/* A node that this database declares, or this server */
typedef struct CheckNode
{
	const char *name;			/* of the server object */
	const char *address;		/* host:port; NULL: this server, and nothing
								 * declares it */
	bool		here;			/* the server that we are */
	bool		mapped;			/* has the caller a user mapping? */
	bool		monitor_mapped; /* has consistency.monitor_role one? */
	bool		connected;		/* it let the caller in */
	bool		asked;			/* facts were had; else: error */
	List	   *facts;			/* CheckFact */
	RemoteError error;
} CheckNode;

typedef struct CheckCluster
{
	const char *role;			/* who asks */
	const char *monitor_role;	/* consistency.monitor_role here */
	const char *database;		/* that we are in */
	List	   *nodes;			/* CheckNode; at least this server */
	const CheckNode *here;		/* one of them */
	List	   *findings;		/* CheckFinding, as they were found */
} CheckCluster;

/* What later stages look for in this database. */
typedef void (*check_fn) (CheckCluster *cluster);

extern void check_register(check_fn check);

extern void check_collect(CheckCluster *cluster);
extern void check_cluster(CheckCluster *cluster);

/* for check_cluster.c, in check_node.c */
extern void check_node(CheckCluster *cluster, const CheckNode *node);
extern const char *check_fact(const CheckNode *node, const char *name);
extern const char *check_fact_of(const CheckNode *node, const char *prefix, const char *name);
extern bool check_fact_is(const CheckNode *node, const char *name, const char *value);

/* for all */
extern void check_report(CheckCluster *cluster, CheckSeverity severity, const char *node,
						 const char *subject, const char *problem, const char *mend);
extern char *check_mend_setting(const char *setting, const char *value);

#endif							/* CONSISTENCY_CHECK_H */
