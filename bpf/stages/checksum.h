/* SPDX-License-Identifier: GPL-2.0-only */
/* How do checksums follow a change of what they cover? (RFC 1624: by the change alone.) */
#ifndef ROOKERY_CHECKSUM_H
#define ROOKERY_CHECKSUM_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "stages/ipv6.h"

enum checksum_constant {
	TCP_CHECKSUM = 16,                 /* where it is in the header */
	UDP_CHECKSUM = 6,
	DCCP_CHECKSUM = 6,
};

/* Where the transport has a checksum that covers addresses; 0: nowhere. SCTP's does not cover them. */
static __always_inline __u32 checksum_place(__u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return TCP_CHECKSUM;
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
		return UDP_CHECKSUM;
	return protocol == IPPROTO_DCCP ? DCCP_CHECKSUM : 0;
}

/* `difference` as bpf_csum_diff() gives it. */
static __always_inline __u16 mend(__u16 checksum, __u32 difference)
{
	return fold((difference & 0xffff) + (difference >> 16) + (__u16)~checksum);
}

/* The kernel knows what is in the field: a checksum, or only the pseudo header's sum, for a device to go on with. UDP may have
 * none. */
static __always_inline bool mend_transport(struct __sk_buff *skb, __u8 protocol, __u32 transport, __u32 difference)
{
	__u32 place = checksum_place(protocol);

	return !place || !bpf_l4_csum_replace(skb, transport + place, 0, difference,
					      BPF_F_PSEUDO_HDR | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0));
}

#endif
