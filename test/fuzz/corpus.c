/*-------------------------------------------------------------------------
 *
 * corpus.c
 *	  Good states, as random histories lead to them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "corpus.h"
#include "history.h"

static Datum end_of_history(History *history, Subject *subject, Mutators *mutators, Random random);
static Bytes copy(const char *data, int size);

/* The state that one replica has in the end. */
static Datum
end_of_history(History *history, Subject *subject, Mutators *mutators, Random random)
{
	int			steps;

	history_begin(history, subject, mutators, random);
	steps = random_between(&history->random, 0, random_chance(&history->random, 20) ? 80 : 12);
	for (int i = 0; i < steps; i++)
		history_step(history);
	return history->replicas[0].state;
}

static Bytes
copy(const char *data, int size)
{
	Bytes		bytes = {palloc(size + 1), size};

	memcpy(bytes.data, data, size);
	bytes.data[size] = '\0';
	return bytes;
}

/* It lasts as long as the current memory context. */
Corpus *
corpus_make(Subject *subject, Mutators *mutators, int64 seed)
{
	Corpus	   *corpus = palloc(sizeof(Corpus));
	History    *history = palloc(sizeof(History));
	Datum		before = 0;

	for (int i = 0; i < CORPUS_SIZE; i++)
	{
		Datum		state = end_of_history(history, subject, mutators, random_of_trial(seed, -1 - i));
		struct varlena *stored;
		struct varlena *sent;
		char	   *text;

		/* some are larger than any history makes them */
		if (i % 4 == 3 && before != 0)
			state = call_2(subject->merge, state, before);
		before = state;
		stored = PG_DETOAST_DATUM(state);
		sent = (struct varlena *) DatumGetPointer(call_1(subject->send, state));
		text = subject_text(subject, state);

		corpus->stored[i] = copy(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
		corpus->sent[i] = copy(VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
		corpus->texts[i] = copy(text, strlen(text));
	}
	return corpus;
}
