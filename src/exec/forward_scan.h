/*-------------------------------------------------------------------------
 *
 * forward_scan.h
 *	  Runs a query of a replica's client at the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_SCAN_H
#define CONSISTENCY_FORWARD_SCAN_H

#include "nodes/extensible.h"

extern const CustomScanMethods forward_scan_methods;

extern void forward_scan_init(void);

#endif							/* CONSISTENCY_FORWARD_SCAN_H */
