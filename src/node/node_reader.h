/*-------------------------------------------------------------------------
 *
 * node_reader.h
 *	  Reads which nodes a database declares; driven by the monitor.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_NODE_READER_H
#define CONSISTENCY_NODE_READER_H

#include "node/node_table.h"

extern void node_reader_request_all(void);
extern NodeDeclaration *node_reader_declared(int *n);
extern int64 node_reader_next(void);
extern void node_reader_run(int64 now);

#endif							/* CONSISTENCY_NODE_READER_H */
