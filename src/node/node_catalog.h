/*-------------------------------------------------------------------------
 *
 * node_catalog.h
 *	  Nodes as an administrator declares them: foreign servers and mappings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_CATALOG_H
#define CONSISTENCY_NODE_CATALOG_H

#include "core/extension.h"
#include "foreign/foreign.h"

/* libpq's view of a node for one role: keyword and value arrays, NULL ended */
typedef struct NodeConnInfo
{
	Oid			umid;			/* pg_user_mapping.oid that was used */
	const char **keywords;
	const char **values;
	bool		password_required;	/* must the connection use a password of
									 * the mapping? */
} NodeConnInfo;

extern bool node_catalog_conninfo(Oid serverid, Oid userid, bool missing_ok,
								  NodeConnInfo *conninfo);
extern char *node_catalog_name(Oid serverid);
extern List *node_catalog_servers(void);
extern List *node_catalog_peers(void);
extern bool node_catalog_is_peer(Oid serverid);
extern int	node_catalog_members(void);
extern const char *node_catalog_host(const ForeignServer *server);
extern const char *node_catalog_port(const ForeignServer *server);

#endif							/* CONSISTENCY_NODE_CATALOG_H */
