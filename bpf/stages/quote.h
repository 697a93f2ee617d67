/* SPDX-License-Identifier: GPL-2.0-only */
/* Does it quote another packet? */
#ifndef ROOKERY_QUOTE_H
#define ROOKERY_QUOTE_H

#include "stages/packet.h"

/* Errors that name the packet they are about (RFC 792, RFC 4443). A redirect is none: nobody redirects in a VPC. */
static __always_inline bool quotes(const struct packet *packet)
{
	__u8 type = packet->icmp_type;

	if (packet->fragment == FRAGMENT_LATER || !carries_icmp(&packet->source, packet->protocol))
		return false;
	if (is_ipv4(&packet->source))
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
	return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
}

#endif
