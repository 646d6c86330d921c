/*-------------------------------------------------------------------------
 *
 * key_operator.h
 *	  How the columns of a key are compared in queries that we write.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_KEY_OPERATOR_H
#define CONSISTENCY_KEY_OPERATOR_H

#include "utils/relcache.h"

extern char *key_operator_name(Relation index, int column);

#endif							/* CONSISTENCY_KEY_OPERATOR_H */
