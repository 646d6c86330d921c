/*-------------------------------------------------------------------------
 *
 * prepared.h
 *	  The transaction id of a prepared transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_PREPARED_H
#define CONSISTENCY_PREPARED_H

extern TransactionId prepared_xid(const char *gid);

#endif							/* CONSISTENCY_PREPARED_H */
