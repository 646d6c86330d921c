/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  The SQL that sets a level, as advice shows it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_STATEMENT_H
#define CONSISTENCY_STATEMENT_H

#include "session/policy.h"

extern char *statement_for_table(Oid relid, const Policy *policy);
extern char *statement_for_settings(const char *prefix, const Policy *policy, bool keeps_session);
extern char *statement_ms(int ms);

#endif							/* CONSISTENCY_STATEMENT_H */
