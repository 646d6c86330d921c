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
