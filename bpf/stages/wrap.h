/* SPDX-License-Identifier: GPL-2.0-only */
/* What is written in front of a packet that goes over the substrate, and to whom there does it go? */
#ifndef ROOKERY_WRAP_H
#define ROOKERY_WRAP_H

#include "stages/flow.h"
#include "stages/next_hop.h"
#include "stages/parse.h"
#include "stages/wrapping.h"

enum wrap_constant {
	NEIGHBOUR_IPV4 = 2,                /* AF_INET */
};

static __always_inline __u16 flow_port(const struct packet *packet)
{
	return WIRE_SOURCE_PORT_BASE | (flow_hash(packet) >> 18);
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

/* All that stands in front of the inner packet, where there is room for it. */
static __always_inline enum verdict wrap(struct __sk_buff *skb, struct packet *packet, const struct next_hop *hop,
					 const struct substrate_config *config)
{
	struct wrapping outer = {};

	packet->outer_source = config->address;
	write_outer(&outer, packet, config, skb->len - ETH_HLEN);
	write_geneve(&outer, packet, hop);
	write_inner(&outer, packet, hop);
	if (!write_head(skb, &outer.ethernet, WRAPPED_HEAD))
		return DROP_ENCAPSULATION;
	return send(packet, config);
}

#endif
