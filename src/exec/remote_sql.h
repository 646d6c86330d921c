/*-------------------------------------------------------------------------
 *
 * remote_sql.h
 *	  The text of a query, as another node is to get it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_REMOTE_SQL_H
#define CONSISTENCY_REMOTE_SQL_H

#include "exec/eligible.h"

typedef struct RemoteSql
{
	char	   *text;			/* in the database's encoding, parameters as
								 * $n */
	List	   *param_types;	/* OID list; those of local expressions at the
								 * end */
	List	   *local_exprs;	/* expressions, literals among them, whose
								 * values are those parameters */
} RemoteSql;

extern bool remote_sql_many_rows(const Plan *plan);
extern bool remote_sql_build(const char *source, int location, int length,
							 const EligibleInfo *info, const Plan *plan, RemoteSql *sql);

#endif							/* CONSISTENCY_REMOTE_SQL_H */
