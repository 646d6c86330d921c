/*-------------------------------------------------------------------------
 *
 * client_transaction.h
 *	  What the client of a replica has asked of its transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_CLIENT_TRANSACTION_H
#define CONSISTENCY_CLIENT_TRANSACTION_H

#include "access/xact.h"
#include "nodes/parsenodes.h"

extern bool client_transaction_is_set(const VariableSetStmt *statement);
extern Node *client_transaction_adapt(Node *statement);
extern void client_transaction_settle(void);
extern void client_transaction_chain(bool commits);
extern void client_transaction_end(XactEvent event);
extern void client_transaction_end_level(int level);

extern bool client_transaction_is_begun(void);
extern bool client_transaction_read_only(void);
extern bool client_transaction_is_whole(void);
extern int	client_transaction_isolation(void);
extern char *client_transaction_begin_sql(void);

#endif							/* CONSISTENCY_CLIENT_TRANSACTION_H */
