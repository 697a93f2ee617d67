/* SPDX-License-Identifier: GPL-2.0-only */
/* How does IPv6 look? (RFC 8200, RFC 4443; linux/ipv6.h has another form of addresses.) */
#ifndef ROOKERY_IPV6_H
#define ROOKERY_IPV6_H

#include <linux/bpf.h>
#include <linux/in6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "formats/maps.h"

struct ipv6_header {
	__be32 version_class_flow;
	__be16 payload;                    /* bytes behind this header, extension headers included */
	__u8 next;                         /* protocol of what follows */
	__u8 hop_limit;
	struct address source;
	struct address destination;
};
_Static_assert(sizeof(struct ipv6_header) == 40, "RFC 8200");

/* Hop-by-hop and destination options and the routing header begin so; the fragment header is this. */
struct ipv6_extension {
	__u8 next;
	__u8 length;                       /* 8-octet units behind the first; reserved in a fragment header */
	__be16 fragment;
	__be32 identification;
};
_Static_assert(sizeof(struct ipv6_extension) == 8, "RFC 8200");

enum ipv6_constant {
	IPV6_VERSION = 6,
	IPV6_EXTENSIONS_MAX = 8,           /* no kernel sends more than five */
	IPV6_FRAGMENT_OFFSET = 0xfff8,
	IPV6_MORE_FRAGMENTS = 1,
};

enum icmpv6_type {
	ICMPV6_UNREACHABLE = 1,
	ICMPV6_TOO_BIG = 2,
	ICMPV6_PARAMETER_PROBLEM = 4,      /* 3: time exceeded */
	ICMPV6_ERRORS = 128,               /* those below */
	ICMPV6_ECHO = 128,
	ICMPV6_ECHO_REPLY = 129,
	ICMPV6_ROUTER_SOLICITATION = 133,
	ICMPV6_ROUTER_ADVERTISEMENT = 134,
	ICMPV6_NEIGHBOUR_SOLICITATION = 135,
	ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMPV6_REDIRECT = 137,
};

struct icmpv6_too_big {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 mtu;
};
_Static_assert(sizeof(struct icmpv6_too_big) == 8, "RFC 4443");

/* All but the addresses. */
static __always_inline void begin_icmpv6(struct ipv6_header *ip, __u16 bytes, __u8 hop_limit)
{
	ip->version_class_flow = bpf_htonl((__u32)IPV6_VERSION << 28);
	ip->payload = bpf_htons(bytes);
	ip->next = IPPROTO_ICMPV6;
	ip->hop_limit = hop_limit;
}

/* Of the pseudo header and the message's first bytes (RFC 4443, 2.3): a constant, at most 512, for Linux 6.1 sums no more at
 * once. */
static __always_inline __u32 icmpv6_sum(const struct ipv6_header *ip, const void *message, __u32 bytes, __u32 length)
{
	__be32 pseudo[2] = { bpf_htonl(length), bpf_htonl(IPPROTO_ICMPV6) };
	__u32 sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);

	sum = bpf_csum_diff(0, 0, (__be32 *)&ip->source, 2 * sizeof(struct address), sum);
	return bpf_csum_diff(0, 0, (__be32 *)message, bytes, sum);
}

/* Of a message that has its checksum: 0 when that is right. */
static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

#endif
