/*-------------------------------------------------------------------------
 *
 * position.c
 *	  Positions as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/position.h"

/*
 * position_text
 *		Write "timeline:LSN" into buf (POSITION_TEXT_SIZE bytes), return buf.
 */
char *
position_text(Position p, char *buf)
{
	snprintf(buf, POSITION_TEXT_SIZE, "%u:%X/%X", p.tli, LSN_FORMAT_ARGS(p.lsn));
	return buf;
}

/*
 * position_requirement_text
 *		Write what a read demands of the node that runs it into buf
 *		(POSITION_REQUIREMENT_SIZE bytes), return buf.
 */
char *
position_requirement_text(bool leader, Position required, char *buf)
{
	char text[	POSITION_TEXT_SIZE];

	if (leader)
		strlcpy(buf, "the primary", POSITION_REQUIREMENT_SIZE);
	else if (position_is_set(required))
		snprintf(buf, POSITION_REQUIREMENT_SIZE, "position >= %s", position_text(required, text));
	else
		strlcpy(buf, "none", POSITION_REQUIREMENT_SIZE);
	return buf;
}
