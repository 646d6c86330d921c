/*-------------------------------------------------------------------------
 *
 * questions.h
 *	  What a type's own functions say of a state, compared with the model.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_QUESTIONS_H
#define FUZZ_QUESTIONS_H

#include "history.h"

extern void question_state(History *history, const Snapshot *snapshot);

#endif							/* FUZZ_QUESTIONS_H */
