/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  SQLSTATEs of our own.
 *
 * Class YC lies in the range that the SQL standard leaves to implementations
 * (classes that begin with I to Z) and that PostgreSQL doesn't use.  Where
 * PostgreSQL has a code that says the same, that one is used instead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ERRORS_H
#define CONSISTENCY_ERRORS_H

#include "utils/elog.h"

/* a wait for a position ran into consistency.wait_timeout */
#define ERRCODE_CONSISTENCY_TIMEOUT MAKE_SQLSTATE('Y', 'C', '0', '0', '1')

/* a position that was promised doesn't exist in this server's history */
#define ERRCODE_POSITION_LOST		MAKE_SQLSTATE('Y', 'C', '0', '0', '2')

/* a commit is done, but not confirmed by the nodes that it was to be confirmed by */
#define ERRCODE_UNCONFIRMED_COMMIT	MAKE_SQLSTATE('Y', 'C', '0', '0', '3')

/* of warnings: the same */
#define ERRCODE_WARNING_UNCONFIRMED_COMMIT MAKE_SQLSTATE('0', '1', 'Y', 'C', '2')

/* a row belongs to another member, which alone may write it */
#define ERRCODE_OTHER_OWNER			MAKE_SQLSTATE('Y', 'C', '0', '0', '4')

/* of warnings: the answer may be older than what was promised */
#define ERRCODE_WARNING_STALE_ANSWER MAKE_SQLSTATE('0', '1', 'Y', 'C', '1')

extern void errors_require_preload(const char *what);
extern char *errors_make_readable(char *message);

#endif							/* CONSISTENCY_ERRORS_H */
