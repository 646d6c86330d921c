/*-------------------------------------------------------------------------
 *
 * owner_transaction.h
 *	  The parts of a transaction that run at owners of rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_OWNER_TRANSACTION_H
#define CONSISTENCY_OWNER_TRANSACTION_H

/* A statement that changes one row there */
typedef struct OwnerStatement
{
	const char *sql;
	int			nvalues;
	const char **values;		/* texts in canonical form; NULL: null */
} OwnerStatement;

extern void owner_transaction_init(void);
extern uint64 owner_transaction_run(Oid serverid, const char *member,
									const OwnerStatement *statement);

#endif							/* CONSISTENCY_OWNER_TRANSACTION_H */
