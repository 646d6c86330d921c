/*-------------------------------------------------------------------------
 *
 * elements.h
 *	  JSON values and keys to put into CRDTs: few, so that they collide.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_ELEMENTS_H
#define FUZZ_ELEMENTS_H

/* spellings of one JSON value, all equal as jsonb */
#define SPELLINGS 3

typedef struct Element
{
	const char *canonical;		/* as it should be kept in a state */
	const char *spellings[SPELLINGS];
} Element;

extern const Element elements[];
extern const int elements_count;

extern const char *const element_keys[];
extern const int element_keys_count;

extern int	elements_long(void);
extern int	elements_compare(int a, int b);

#endif							/* FUZZ_ELEMENTS_H */
