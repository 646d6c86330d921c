/*-------------------------------------------------------------------------
 *
 * forward_transaction.h
 *	  The part of the client's transaction that runs at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_TRANSACTION_H
#define CONSISTENCY_FORWARD_TRANSACTION_H

#include "exec/route.h"
#include "remote/remote_query.h"

/* Which transaction of the primary a statement belongs to */
typedef enum ForwardScope
{
	FORWARD_ALONE,				/* one that is over with the statement */
	FORWARD_IN_TRANSACTION		/* one that ends with the client's */
} ForwardScope;

extern void forward_transaction_init(void);

extern bool forward_transaction_is_open(void);
extern ForwardScope forward_transaction_scope(bool commits_itself);
extern const Route *forward_transaction_route(void);
extern void forward_transaction_begin(const Route *route, RemoteConnection *connection);
extern RemoteConnection *forward_transaction_enter(void);
extern List *forward_transaction_commands(void);
extern void forward_transaction_leave(const RemoteQuery *query);
extern void forward_transaction_opened(const char *cursor);
extern void forward_transaction_closed(const char *cursor);
extern void forward_transaction_changes_catalogs(void);
extern bool forward_transaction_has_changed_catalogs(void);
extern void forward_transaction_committed(RemoteConnection *connection);
extern void forward_transaction_check_promotion(void);
extern void forward_transaction_error_promoted(void) pg_attribute_noreturn();
extern void forward_transaction_error_unknown(const char *node, const char *ticket) pg_attribute_noreturn();

#endif							/* CONSISTENCY_FORWARD_TRANSACTION_H */
