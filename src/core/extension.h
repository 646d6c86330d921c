/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  Is the extension created in this database?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_EXTENSION_H
#define CONSISTENCY_EXTENSION_H

#define EXTENSION_FDW_NAME "consistency"
#define EXTENSION_PEER_FDW_NAME "consistency_peer"
#define EXTENSION_SCHEMA_NAME "consistency"

extern bool extension_lookup(void);
extern bool extension_owns_schema(Oid namespace);
extern Oid	extension_relation(const char *name);
extern Oid	extension_relation_owner(Oid relation);

/* do not use outside: what is known, and whether it still holds */
extern bool extension_known;
extern bool extension_created;

/*
 * Is the extension created in this database?  Needs a transaction when the
 * answer isn't known yet.
 */
static inline bool
extension_is_created(void)
{
	return likely(extension_known) ? extension_created : extension_lookup();
}

/* The same where no catalog can be read: false when the answer isn't known. */
static inline bool
extension_was_created(void)
{
	return extension_created;
}

#endif							/* CONSISTENCY_EXTENSION_H */
