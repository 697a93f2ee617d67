/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the packet get to the other host? Wrapped in Geneve, to a neighbour on the substrate. */
#ifndef ROOKERY_ENCAPSULATE_H
#define ROOKERY_ENCAPSULATE_H

#include "stages/parse.h"
#include "stages/route.h"
#include "stages/wrapping.h"

#define WRAP_FLAGS (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | \
		    BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_FIXED_GSO)

enum encapsulate_constant {
	TURN_TO_IPV4 = 1 << 7,             /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4, since Linux 6.3 */
	TUNNEL_ALREADY = -114,             /* -EALREADY: bpf_skb_adjust_room() met a packet that is a tunnel */
	NEIGHBOUR_IPV4 = 2,                /* AF_INET */
	SPARE_ROOM = WRAPPING + 16,        /* LL_RESERVED_SPACE of an Ethernet device */
};

static __always_inline __u32 mix(__u32 hash, const struct address *address)
{
	hash ^= address->word[0] ^ address->word[1] ^ address->word[2] ^ address->word[3];
	return hash * 0x9e3779b1;
}

/* Equal for all packets of a flow, fragments among themselves: they must not overtake each other. */
static __always_inline __u16 flow_port(const struct packet *packet)
{
	__u32 hash = mix(packet->protocol, &packet->source);

	hash = mix(hash, &packet->destination);
	if (!packet->fragment)
		hash ^= (__u32)packet->source_port << 16 | packet->destination_port;
	hash *= 0x9e3779b1;
	return WIRE_SOURCE_PORT_BASE | (hash >> 18);
}

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

static __always_inline void write_outer(struct wrapping *outer, const struct packet *packet,
					const struct substrate_config *config, __u32 length)
{
	/* The kernel writes the lengths of each segment when it cuts; a super-packet may exceed the field. */
	__u16 total = length > 0xffff ? 0 : length;

	outer->ethernet.h_proto = bpf_htons(ETH_P_IP);
	outer->ip.version = 4;
	outer->ip.ihl = 5;
	outer->ip.tot_len = bpf_htons(total);
	outer->ip.frag_off = bpf_htons(IP_DONT_FRAGMENT);   /* RFC 8926, 3.3 */
	outer->ip.ttl = SUBSTRATE_TTL;
	outer->ip.protocol = IPPROTO_UDP;
	outer->ip.saddr = config->address;
	outer->ip.daddr = packet->outer_destination;
	outer->ip.check = internet_checksum(&outer->ip, sizeof(outer->ip), 0);
	outer->udp.source = bpf_htons(flow_port(packet));
	outer->udp.dest = bpf_htons(WIRE_GENEVE_PORT);
	outer->udp.len = bpf_htons(total ? total - sizeof(outer->ip) : 0);
}

static __always_inline void write_geneve(struct wrapping *outer, const struct packet *packet, const struct next_hop *hop)
{
	outer->geneve.version_and_option_words = sizeof(struct origin_option) / 4;
	outer->geneve.inner_protocol = bpf_htons(WIRE_INNER_ETHERNET);
	outer->geneve.vni_and_reserved = bpf_htonl(hop->vni << 8);
	outer->origin.header.option_class = bpf_htons(WIRE_OPTION_CLASS);
	outer->origin.header.type = WIRE_OPTION_ORIGIN;
	outer->origin.header.length_words = (sizeof(struct origin_option) - sizeof(struct geneve_option)) / 4;
	outer->origin.interface = bpf_htonl(packet->origin_interface);
	outer->origin.vni_and_reserved = bpf_htonl(packet->origin_vni << 8);
	outer->origin.target = bpf_htonl(packet->led_to);
}

static __always_inline void write_inner(struct wrapping *outer, const struct packet *packet,
					const struct next_hop *hop)
{
	outer->inner = packet->head.frame;
	__builtin_memcpy(outer->inner.h_dest, hop->mac, ETH_ALEN);
}

/* The next hop is named, so that no route of the host is asked; the kernel resolves the neighbour. */
static __always_inline enum verdict send(struct packet *packet, const struct substrate_config *config)
{
	bool near = (packet->outer_destination & config->netmask) == config->network;
	struct bpf_redir_neigh hop = { .nh_family = NEIGHBOUR_IPV4,
				       .ipv4_nh = near ? packet->outer_destination : config->gateway };

	tell(packet, STEP_WRAPPED, SENT, 0);
	packet->target = config->ifindex;
	packet->action = bpf_redirect_neigh(config->ifindex, &hop, sizeof(hop), 0);
	return SENT;
}

static __always_inline bool has_way(const struct packet *packet, const struct substrate_config *config)
{
	return config->gateway || (packet->outer_destination & config->netmask) == config->network;
}

static __noinline enum verdict encapsulate(struct __sk_buff *skb, struct packet *packet,
					   const struct next_hop *hop, const struct substrate_config *config)
{
	struct wrapping outer = {};

	make_spare_room(skb, packet);
	if (!grow(skb))
		return DROP_ENCAPSULATION;
	packet->outer_source = config->address;
	write_outer(&outer, packet, config, skb->len - ETH_HLEN);
	write_geneve(&outer, packet, hop);
	write_inner(&outer, packet, hop);
	if (!write_head(skb, &outer.ethernet, WRAPPED_HEAD))
		return DROP_ENCAPSULATION;
	return send(packet, config);
}

#endif
