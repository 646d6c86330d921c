/*-------------------------------------------------------------------------
 *
 * about_server.h
 *	  Is a statement about this server, rather than about data?
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_ABOUT_SERVER_H
#define CONSISTENCY_ABOUT_SERVER_H

#include "nodes/plannodes.h"

extern bool about_server(const PlannedStmt *plan);

#endif							/* CONSISTENCY_ABOUT_SERVER_H */
