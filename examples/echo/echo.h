/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page that the two ends of an xpvecho device share: a stream of bytes in
 * each direction. Indices run freely; index i is byte i % ECHO_SIZE. Each index
 * is written by one end only, and the other end must validate it.
 *
 * The protocol in xenstore: the frontend publishes ring-ref and event-channel
 * in its own directory, before it is Initialised.
 */
#ifndef XPV_EXAMPLES_ECHO_H
#define XPV_EXAMPLES_ECHO_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define ECHO_SIZE 1024u

struct echo_page {
	uint32_t request_produced; /* the frontend's */
	uint32_t request_consumed; /* the backend's */
	uint32_t response_produced; /* the backend's */
	uint32_t response_consumed; /* the frontend's */
	uint8_t request[ECHO_SIZE];
	uint8_t response[ECHO_SIZE];
};

/* Return the number of bytes to read, or -1 if the indices are impossible. */
static inline int echo_used(uint32_t produced, uint32_t consumed)
{
	return produced - consumed > ECHO_SIZE ? -1 : (int)(produced - consumed);
}

/* Return how much of `length` is in one piece from `index` on. */
static inline uint32_t echo_piece(uint32_t index, uint32_t length)
{
	uint32_t to_the_end = ECHO_SIZE - index % ECHO_SIZE;

	return length < to_the_end ? length : to_the_end;
}

#endif
