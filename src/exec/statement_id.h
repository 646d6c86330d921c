/*-------------------------------------------------------------------------
 *
 * statement_id.h
 *	  What statements with tokens are counted as.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_STATEMENT_ID_H
#define CONSISTENCY_STATEMENT_ID_H

extern void statement_id_init(void);

#endif							/* CONSISTENCY_STATEMENT_ID_H */
