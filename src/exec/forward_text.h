/*-------------------------------------------------------------------------
 *
 * forward_text.h
 *	  The text of the statement that is sent to the primary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_FORWARD_TEXT_H
#define CONSISTENCY_FORWARD_TEXT_H

/* A part of the client's text */
typedef struct ForwardText
{
	const char *source;			/* the whole text, in the server's encoding */
	int			offset;			/* where the part begins in it, bytes */
	char	   *sql;			/* the part, palloc'd */
} ForwardText;

extern ForwardText forward_text_of_statement(const char *source, int location, int length);
extern ForwardText forward_text_of_query(const char *source, int location, int length);
extern ForwardText forward_text_execute(ForwardText text, const char *name);

#endif							/* CONSISTENCY_FORWARD_TEXT_H */
