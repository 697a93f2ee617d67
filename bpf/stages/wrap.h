/* SPDX-License-Identifier: GPL-2.0-only */
/* What is written in front of a packet that goes over the substrate, and to whom there does it go? */
#ifndef ROOKERY_WRAP_H
#define ROOKERY_WRAP_H

#include "hull/depart.h"
#include "stages/flow.h"
#include "stages/next_hop.h"
#include "stages/parse.h"
#include "stages/wrapping.h"

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

/* To whom on the substrate does it go first? */
static __always_inline enum verdict find_substrate_hop(hull_t *hull, struct packet *packet, const struct substrate_config *config)
{
	bool near = (packet->outer_destination & config->netmask) == config->network;

	return near || config->gateway ? meet(hull, packet, config, near ? packet->outer_destination : config->gateway) :
					 DROP_NOT_CONFIGURED;
}

/* Behind find_substrate_hop(): all that stands in front of the inner packet, where there is room for it. */
static __always_inline enum verdict wrap(hull_t *hull, struct packet *packet, const struct next_hop *hop,
					 const struct substrate_config *config)
{
	struct wrapping outer = {};

	packet->outer_source = config->address;
	name_ends(&outer.ethernet, packet);
	write_outer(&outer, packet, config, length_of(hull) - ETH_HLEN);
	write_geneve(&outer, packet, hop);
	write_inner(&outer, packet, hop);
	if (!write_head(hull, &outer.ethernet, WRAPPED_HEAD))
		return DROP_ENCAPSULATION;
	tell(packet, STEP_WRAPPED, SENT, 0);
	depart(hull, packet, config->ifindex);
	return SENT;
}

#endif
