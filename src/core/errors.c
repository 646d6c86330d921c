/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Errors that several modules raise in the same words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
