/* SPDX-License-Identifier: GPL-2.0-only */
/* Where in its stream is a segment? Numbers begin anew after 2^32. (RFC 9293, 3.4) */
#ifndef ROOKERY_SEQUENCE_H
#define ROOKERY_SEQUENCE_H

#include "stages/packet.h"

enum sequence_constant {
	LARGEST_WINDOW = 1 << 30,          /* RFC 7323, 2.3: nobody sends more before an acknowledgement */
};

/* As it was when the packet was parsed. */
static __always_inline __be32 sequence_of(const struct packet *packet)
{
	return *(const __be32 *)&packet->head.transport.byte[4];
}

static __always_inline __be32 acknowledged_by(const struct packet *packet)
{
	return *(const __be32 *)&packet->head.transport.byte[8];
}

static __always_inline bool is_before(__u32 number, __u32 other)
{
	return (__s32)(number - other) < 0;
}

/* More than a window beyond. */
static __always_inline bool is_far_beyond(__u32 number, __u32 other)
{
	return !is_before(number, other) && number - other >= LARGEST_WINDOW;
}

#endif
