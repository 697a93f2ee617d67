/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the packet get to the other host? Wrapped in Geneve, to a neighbour on the substrate. */
#ifndef ROOKERY_ENCAPSULATE_H
#define ROOKERY_ENCAPSULATE_H

#include "stages/ipv6.h"
#include "stages/wrap.h"

#define WRAP_FLAGS (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | \
		    BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_FIXED_GSO)

enum encapsulate_constant {
	TURN_TO_IPV4 = 1 << 7,             /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4, since Linux 6.3 */
	TUNNEL_ALREADY = -114,             /* -EALREADY: bpf_skb_adjust_room() met a packet that is a tunnel */
};

/* A tenant's own tunnel has taken the kernel's only place for tunnel metadata: its packets grow without, and so the kernel
 * does not notice that IPv6 is inside IPv4 now. It does when as much is taken away as IPv6's header has: that says so. */
static __always_inline bool grow_tunnel(struct __sk_buff *skb)
{
	__s32 more = skb->protocol == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6_header) : 0;

	if (bpf_skb_adjust_room(skb, WRAPPING + more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	return !more ||
	       !bpf_skb_adjust_room(skb, -more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | TURN_TO_IPV4);
}

/* Room in front of the packet. */
static __always_inline bool grow(struct __sk_buff *skb)
{
	long error = bpf_skb_adjust_room(skb, WRAPPING, BPF_ADJ_ROOM_MAC, WRAP_FLAGS);

	return error == TUNNEL_ALREADY ? grow_tunnel(skb) : !error;
}

static __noinline enum verdict encapsulate(struct __sk_buff *skb, struct packet *packet,
					   const struct next_hop *hop, const struct substrate_config *config)
{
	return grow(skb) ? wrap(skb, packet, hop, config) : DROP_ENCAPSULATION;
}

#endif
