/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this a kind of address that a VPC carries at all? */
#ifndef ROOKERY_UNICAST_H
#define ROOKERY_UNICAST_H

#include "stages/packet.h"

static __always_inline bool is_multicast(const struct address *address)
{
	__u32 word = bpf_ntohl(address->word[3]);

	return is_ipv4(address) && ((word & 0xf0000000) == 0xe0000000 || word == 0xffffffff);
}

static __always_inline bool is_link_local(const struct address *address)
{
	return is_ipv4(address) && (bpf_ntohl(address->word[3]) & 0xffff0000) == 0xa9fe0000;
}

static __always_inline enum verdict refuse_multicast(const struct packet *packet)
{
	if (packet->head.frame.h_dest[0] & 1 || is_multicast(&packet->destination))
		return DROP_MULTICAST;
	return CONTINUE;
}

static __always_inline enum verdict refuse_link_local(const struct packet *packet)
{
	if (is_link_local(&packet->destination) || is_link_local(&packet->source))
		return DROP_LINK_LOCAL;
	return CONTINUE;
}

#endif
