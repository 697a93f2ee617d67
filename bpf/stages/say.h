/* SPDX-License-Identifier: GPL-2.0-only */
/* How is a sender told, in the family that it speaks, and what is too large to be sent on? */
#ifndef ROOKERY_SAY_H
#define ROOKERY_SAY_H

#include "stages/answer_back_ipv6.h"

/* Error messages and later fragments are not answered with errors (RFC 1122, 3.2.2). `type`, `code`: of IPv4's ICMP. */
static __always_inline enum verdict say(hull_t *hull, const struct packet *packet, __u32 type, __u32 code, __u32 mtu,
					enum verdict otherwise)
{
	if (packet->unanswerable)
		return otherwise;
	return came_as_ipv6(packet) ? tell_sender_ipv6(hull, type << 8 | code, mtu) : tell_sender(hull, type << 8 | code, mtu);
}

static __always_inline enum verdict reset(hull_t *hull, const struct packet *packet)
{
	return came_as_ipv6(packet) ? reset_sender_ipv6(hull) : reset_sender(hull);
}

/* Larger than a cell takes, or than what is behind a gateway: an edge cuts what may be cut. */
static __always_inline __u32 largest_allowed(const struct packet *packet)
{
	return packet->leads_out && packet->dont_fragment ? INTERNET_MTU : CELL_MTU;
}

#endif
