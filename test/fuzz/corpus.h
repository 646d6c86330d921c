/*-------------------------------------------------------------------------
 *
 * corpus.h
 *	  Good states, and what bad states can be made of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_CORPUS_H
#define FUZZ_CORPUS_H

#include "apply.h"
#include "random.h"
#include "subject.h"

#define CORPUS_SIZE 48

typedef struct Bytes
{
	char	   *data;
	int			size;
} Bytes;

typedef struct Corpus
{
	Bytes		texts[CORPUS_SIZE];
	Bytes		stored[CORPUS_SIZE];	/* without the varlena header */
	Bytes		sent[CORPUS_SIZE];
} Corpus;

extern Corpus *corpus_make(Subject *subject, Mutators *mutators, int64 seed);

/* mutate.c */
extern Bytes mutate_bytes(Random *random, const Bytes *inputs, int n, int begin);
extern Bytes mutate_text(Random *random, const Bytes *inputs, int n);

#endif							/* FUZZ_CORPUS_H */
