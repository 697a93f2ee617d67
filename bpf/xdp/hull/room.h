/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet become longer or shorter in front? By where it begins. */
#ifndef ROOKERY_ROOM_H
#define ROOKERY_ROOM_H

#include "stages/packet.h"
#include "stages/wrapping.h"

/* By so many bytes; what stands there is to be written. */
static __always_inline bool stretch(hull_t *hull, __s32 more)
{
	return !more || !bpf_xdp_adjust_head(hull, -more);
}

/* For what is written in front of the packet. */
static __always_inline bool grow(hull_t *hull, const struct packet *packet)
{
	(void)packet;
	return stretch(hull, WRAPPING);
}

/* To the inner frame. */
static __always_inline bool shrink(hull_t *hull, const struct packet *packet)
{
	return stretch(hull, -(__s32)packet->offset);
}

/* To another length, of what is all written anew. What is too much goes from the end, where a large frame's other pieces are. */
static __always_inline bool change_length(hull_t *hull, __s32 more)
{
	return more < 0 ? !bpf_xdp_adjust_tail(hull, more) : stretch(hull, more);
}

#endif
