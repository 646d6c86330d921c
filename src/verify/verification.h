/*-------------------------------------------------------------------------
 *
 * verification.h
 *	  How far a verification is, and what it has found, kept in tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_VERIFICATION_H
#define CONSISTENCY_VERIFICATION_H

#include "nodes/pg_list.h"
#include "storage/block.h"

typedef enum VerifyState
{
	VERIFY_UNFINISHED,			/* to be gone on with */
	VERIFY_FAILED,				/* the node could not be asked; the same */
	VERIFY_STOPPED,				/* enough differences were found */
	VERIFY_DONE
} VerifyState;

/* How far one node is; what is kept of it */
typedef struct VerifyNode
{
	char	   *name;			/* of the server object */
	VerifyState state;
	Oid			part;			/* that is compared now, after all lower ones */
	BlockNumber next_block;		/* of it; those before are compared */
	Oid			file;			/* that these blocks are of */
	int64		blocks;			/* compared, in all parts */
	int64		skipped;		/* left out by the sample */
	int64		rows;
	int64		differences;
	char	   *failure;		/* why it FAILED, or NULL */
} VerifyNode;

typedef struct Verification
{
	int64		id;
	Oid			root;			/* the table */
	Oid			role;			/* who has begun it */
	double		sample;			/* which part of the table, 0 to 1 */
	int32		max_differences;	/* for each node */
	List	   *nodes;			/* VerifyNode */
} Verification;

extern void verification_create(Verification *verification);
extern bool verification_load(Verification *verification, int64 id);
extern void verification_save(const Verification *verification, const VerifyNode *node,
							  const List *findings);

#endif							/* CONSISTENCY_VERIFICATION_H */
