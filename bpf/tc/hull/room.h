/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet become longer or shorter in front? The kernel moves what is there, and must know what it is from now on. */
#ifndef ROOKERY_ROOM_H
#define ROOKERY_ROOM_H

#include "stages/ipv6.h"
#include "stages/packet.h"
#include "stages/wrapping.h"

#define WRAP_FLAGS (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | \
		    BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_FIXED_GSO)

enum room_constant {
	TURN_TO_IPV4 = 1 << 7,             /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4, since Linux 6.3 */
	UNWRAP_TO_IPV6 = 1 << 8,           /* BPF_F_ADJ_ROOM_DECAP_L3_IPV6, since Linux 6.3 */
	TUNNEL_ALREADY = -114,             /* -EALREADY: bpf_skb_adjust_room() met a packet that is a tunnel */
	SPARE_ROOM = WRAPPING + 16,        /* LL_RESERVED_SPACE of an Ethernet device */
};

/* IPv6 is inside IPv4 now, and the kernel must know: it does when as much is taken away as IPv6's header has, and that is said.
 * To Linux 6.2 it is said by a translation, which takes what an IPv6 header is longer; it also takes an IPv6 super-packet of TCP
 * inside the tunnel for an IPv4 one, which the kernel drops when it cuts: there TCP goes on in single segments. */
static __always_inline bool turn_to_ipv4(hull_t *hull)
{
	if (!bpf_skb_adjust_room(hull, -(__s32)sizeof(struct ipv6_header), BPF_ADJ_ROOM_MAC,
				 BPF_F_ADJ_ROOM_FIXED_GSO | TURN_TO_IPV4))
		return true;
	return !bpf_skb_change_proto(hull, bpf_htons(ETH_P_IP), 0) &&
	       !bpf_skb_adjust_room(hull, -(__s32)sizeof(struct iphdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* A tenant's own tunnel has taken the kernel's only place for tunnel metadata: its packets grow without. */
static __always_inline bool grow_tunnel(hull_t *hull)
{
	bool ipv6 = protocol_of(hull) == bpf_htons(ETH_P_IPV6);
	__s32 more = ipv6 ? sizeof(struct ipv6_header) : 0;

	if (bpf_skb_adjust_room(hull, WRAPPING + more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	return !ipv6 || turn_to_ipv4(hull);
}

_Static_assert(sizeof(struct ipv6_header) == 2 * sizeof(struct iphdr), "what is left after a translation");

/* A datagram leaves its instance's veth with two bytes in front of its frame, and the kernel makes room by 64 when it makes any: two too few,
 * so that it would copy the packet again for the substrate's Ethernet. It copies once where more is asked for. What is TCP or
 * a super-packet brings room along. */
static __always_inline void make_spare_room(hull_t *hull, const struct packet *packet)
{
	if (segment_of(hull) || packet->protocol == IPPROTO_TCP)
		return;
	if (!bpf_skb_adjust_room(hull, SPARE_ROOM, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		bpf_skb_adjust_room(hull, -SPARE_ROOM, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* For what is written in front of the packet. */
static __always_inline bool grow(hull_t *hull, const struct packet *packet)
{
	long error;

	make_spare_room(hull, packet);
	error = bpf_skb_adjust_room(hull, WRAPPING, BPF_ADJ_ROOM_MAC, WRAP_FLAGS);
	return error == TUNNEL_ALREADY ? grow_tunnel(hull) : !error;
}

/* What comes out of IPv4 may be IPv6, and the kernel must know. To Linux 6.1 it is said by a translation, which puts as much
 * between Ethernet and IP as an IPv6 header is longer. */
static __always_inline bool shrink(hull_t *hull, const struct packet *packet)
{
	__s32 bytes = packet->offset;

	if (packet->head.frame.h_proto == bpf_htons(ETH_P_IPV6)) {
		if (!bpf_skb_adjust_room(hull, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | UNWRAP_TO_IPV6))
			return true;
		if (bpf_skb_change_proto(hull, bpf_htons(ETH_P_IPV6), 0))
			return false;
		bytes += sizeof(struct ipv6_header) - sizeof(struct iphdr);
	}
	return !bpf_skb_adjust_room(hull, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* What stands in front of a wrapped packet, by so many bytes longer: in place, for what is unwrapped and wrapped anew is, to the kernel, a
 * tunnel in a tunnel. */
static __always_inline bool stretch(hull_t *hull, __s32 more)
{
	return !more || !bpf_skb_adjust_room(hull, more, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

/* To another length, of what is all written anew. The kernel cuts no tail off a tunnel's packet: what is too much is taken away in front. */
static __always_inline bool change_length(hull_t *hull, __s32 more)
{
	return stretch(hull, more);
}

#endif
