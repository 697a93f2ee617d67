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
	SPARE_ROOM = WRAPPING + 16,        /* LL_RESERVED_SPACE of an Ethernet device */
};

/* IPv6 is inside IPv4 now, and the kernel must know: it does when as much is taken away as IPv6's header has, and that is said.
 * To Linux 6.2 it is said by a translation, which takes what an IPv6 header is longer; it also takes an IPv6 super-packet of TCP
 * inside the tunnel for an IPv4 one, which the kernel drops when it cuts: there TCP goes on in single segments. */
static __always_inline bool turn_to_ipv4(struct __sk_buff *skb)
{
	if (!bpf_skb_adjust_room(skb, -(__s32)sizeof(struct ipv6_header), BPF_ADJ_ROOM_MAC,
				 BPF_F_ADJ_ROOM_FIXED_GSO | TURN_TO_IPV4))
		return true;
	return !bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0) &&
	       !bpf_skb_adjust_room(skb, -(__s32)sizeof(struct iphdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* A tenant's own tunnel has taken the kernel's only place for tunnel metadata: its packets grow without. */
static __always_inline bool grow_tunnel(struct __sk_buff *skb)
{
	bool ipv6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	__s32 more = ipv6 ? sizeof(struct ipv6_header) : 0;

	if (bpf_skb_adjust_room(skb, WRAPPING + more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	return !ipv6 || turn_to_ipv4(skb);
}

_Static_assert(sizeof(struct ipv6_header) == 2 * sizeof(struct iphdr), "what is left after a translation");

/* A datagram leaves its instance's veth with two bytes in front of its frame, and the kernel makes room by 64 when it makes any: two too few,
 * so that it would copy the packet again for the substrate's Ethernet. It copies once where more is asked for. What is TCP or
 * a super-packet brings room along. */
static __always_inline void make_spare_room(struct __sk_buff *skb, const struct packet *packet)
{
	if (skb->gso_size || packet->protocol == IPPROTO_TCP)
		return;
	if (!bpf_skb_adjust_room(skb, SPARE_ROOM, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		bpf_skb_adjust_room(skb, -SPARE_ROOM, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
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
	make_spare_room(skb, packet);
	return grow(skb) ? wrap(skb, packet, hop, config) : DROP_ENCAPSULATION;
}

#endif
