/*-------------------------------------------------------------------------
 *
 * random.h
 *	  Random numbers that are the same for the same seed, everywhere.
 *
 * See Steele, Lea, Flood: "Fast splittable pseudorandom number generators"
 * (OOPSLA 2014).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

typedef struct Random
{
	uint64		state;
} Random;

static inline uint64
random_bits(Random *random)
{
	uint64		z = (random->state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline int
random_below(Random *random, uint64 n)
{
	return (int) (random_bits(random) % n);
}

/* from first to last */
static inline int
random_between(Random *random, int first, int last)
{
	return first + random_below(random, (uint64) (last - first) + 1);
}

static inline bool
random_chance(Random *random, int percent)
{
	return random_below(random, 100) < percent;
}

/* The numbers of one trial of many: it can be repeated alone. */
static inline Random
random_of_trial(int64 seed, int64 trial)
{
	Random		random = {(uint64) seed};

	random.state = random_bits(&random) + (uint64) trial;
	random.state = random_bits(&random);
	return random;
}

#endif							/* FUZZ_RANDOM_H */
