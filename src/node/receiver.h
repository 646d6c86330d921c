/*-------------------------------------------------------------------------
 *
 * receiver.h
 *	  A replica tells the server that it streams from which server it is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_RECEIVER_H
#define CONSISTENCY_RECEIVER_H

extern void receiver_init(void);
extern uint64 receiver_instance(void);

#endif							/* CONSISTENCY_RECEIVER_H */
