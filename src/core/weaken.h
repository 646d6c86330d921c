/*-------------------------------------------------------------------------
 *
 * weaken.h
 *	  Switches single mechanisms off, for negative controls.
 *
 * A test that a promise passes shows something only if it fails where the
 * promise isn't kept.  So in a build of its own (make CONSISTENCY_WEAKEN=1, never
 * to be installed on a server that anybody relies on) there is a setting,
 * consistency.weaken: a list of mechanisms that do nothing then.  Each is asked
 * for where it does its work, and nothing else is changed.
 *
 * In every other build weakened() is the constant false, and the setting doesn't
 * exist.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_WEAKEN_H
#define CONSISTENCY_WEAKEN_H

/* In the order of weaken_names. */
enum Mechanism
{
	MECHANISM_ANSWERS,			/* what other nodes' answers tell is noted */
	MECHANISM_ASYNC,			/* commits that aren't flushed count as seen */
	MECHANISM_BARRIER,			/* a primary's snapshots are taken behind the
								 * barrier */
	MECHANISM_BOUNDS,			/* bounds of staleness are waited for */
	MECHANISM_DEPOSED,			/* a primary heeds the news of another one */
	MECHANISM_FENCE,			/* standbys confirm that this is the primary */
	MECHANISM_OBSERVED,			/* what was read here counts elsewhere */
	MECHANISM_REPLAY_WAIT,		/* a replica waits for replay */
	MECHANISM_SNAPSHOT,			/* a snapshot that is kept is looked at */
	MECHANISM_TIMELINE,			/* positions are looked up in the history */
	MECHANISM_TOKENS,			/* tokens that are handed in are noted */
	MECHANISM_WRITTEN			/* own commits are noted */
};

#ifdef CONSISTENCY_WEAKEN

extern int	weaken_mask;		/* a bit for each mechanism that is off */

#define weakened(mechanism) ((weaken_mask & (1 << (mechanism))) != 0)

extern void weaken_init(void);

#else

#define weakened(mechanism) false
#define weaken_init() ((void) 0)

#endif

#endif							/* CONSISTENCY_WEAKEN_H */
