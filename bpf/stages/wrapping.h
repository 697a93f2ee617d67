/* SPDX-License-Identifier: GPL-2.0-only */
/* What stands in front of an inner packet on the substrate? */
#ifndef ROOKERY_WRAPPING_H
#define ROOKERY_WRAPPING_H

#include <stddef.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include "formats/wire.h"

struct wrapping {
	__u16 padding;                     /* puts IP on a word boundary: clang writes packed members byte by byte */
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_header geneve;
	struct origin_option origin;
	struct ethhdr inner;
	__u16 tail;
};

enum wrapping_constant {
	WRAPPED_HEAD = offsetof(struct wrapping, tail) - offsetof(struct wrapping, ethernet),
	WRAPPING = WRAPPED_HEAD - ETH_HLEN,              /* bytes a wrapped IP packet is larger */
	SUBSTRATE_TTL = 64,
};
_Static_assert(WRAPPING == 66, "docs/wire-format.md");

/* RFC 1071, over a header of whole 32-bit words. */
static __always_inline __u16 internet_checksum(const void *header, __u32 bytes, __u32 sum)
{
	const __u16 *word = header;

#pragma unroll
	for (__u32 i = 0; i < bytes / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

#endif
