/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Errors that several modules raise in the same words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "core/errors.h"
#include "core/shmem.h"

/*
 * errors_require_preload
 *		Error out unless the library was preloaded; "what" names the function
 *		or view that needs it.
 */
void
errors_require_preload(const char *what)
{
	if (!shmem_is_preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s needs the library \"consistency\" to be preloaded", what),
				 errhint("Add \"consistency\" to shared_preload_libraries and restart the server.")));
}

/*
 * errors_make_readable
 *		Replace what isn't valid in this database's encoding, in place.
 *
 * Messages of other servers, other databases or from before a connection is made
 * may be in any encoding.
 */
char *
errors_make_readable(char *message)
{
	if (!pg_verifymbstr(message, strlen(message), true))
	{
		for (char *c = message; *c; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
		}
	}
	return message;
}
