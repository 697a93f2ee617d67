/* SPDX-License-Identifier: GPL-2.0-only */
/* To which flow does the packet belong, for those who choose among equal ways? */
#ifndef ROOKERY_FLOW_H
#define ROOKERY_FLOW_H

#include "stages/packet.h"

static __always_inline __u32 mix(__u32 hash, const struct address *address)
{
	hash ^= address->word[0] ^ address->word[1] ^ address->word[2] ^ address->word[3];
	return hash * 0x9e3779b1;
}

/* Equal for all packets of a flow, fragments among themselves: they must not overtake each other. */
static __always_inline __u32 flow_hash(const struct packet *packet)
{
	__u32 hash = mix(packet->protocol, &packet->source);

	hash = mix(hash, &packet->destination);
	if (!packet->fragment)
		hash ^= (__u32)packet->source_port << 16 | packet->destination_port;
	return hash * 0x9e3779b1;
}

#endif
