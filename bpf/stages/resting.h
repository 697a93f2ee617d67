/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet that nobody sent: what a node keeps of a flow, on its way to another that is to keep it, too. As in a chain, the flow is told
 * by the packet inside, and the rest by the option in front. */
#ifndef ROOKERY_RESTING_H
#define ROOKERY_RESTING_H

#include "stages/chain_head.h"
#include "stages/trackers.h"
#include "stages/wrap.h"

enum resting_constant {
	RESTING_TRANSPORT = 20,            /* bytes: enough for each protocol */
	RESTING_IP = sizeof(struct ipv6_header) + RESTING_TRANSPORT,   /* of both families: what IPv4 needs not is payload */
	RESTING_ROUNDING = 2,              /* seconds: a copy is older than it says rather than younger, also when it arrives */
};

union resting_transport {
	__be16 word[RESTING_TRANSPORT / 2];
	__u8 byte[RESTING_TRANSPORT];
};

struct resting_ipv4 {
	struct iphdr ip;
	union resting_transport transport;
};

struct resting_ipv6 {
	struct ipv6_header ip;
	union resting_transport transport;
};

struct resting_packet {
	__u16 padding;                     /* puts IP on a word boundary */
	struct ethhdr ethernet;
	union {
		struct resting_ipv4 ipv4;
		struct resting_ipv6 ipv6;
	};
};

enum resting_size {
	RESTING_INNER = sizeof(struct resting_packet) - offsetof(struct resting_packet, ethernet),
	RESTING_FRAME = CHAINED_HEAD + RESTING_INNER,
};

static __always_inline bool is_handed_out(const struct flow_key *key, const struct directive *directive)
{
	return !(directive->flags & DIRECTIVE_OUTWARD) && !same_address(&key->destination, &directive->destination);
}

static __always_inline void put_echo_head(union resting_transport *inner, const struct flow_key *key)
{
	bool ipv4 = is_ipv4(&key->source);

	if (key->source_port)
		inner->byte[0] = ipv4 ? ICMP_ECHO : ICMPV6_ECHO;
	else
		inner->byte[0] = ipv4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;
	inner->word[2] = key->source_port ? key->source_port : key->destination_port;
}

/* Begins no connection, and ends none. */
static __always_inline void put_transport(union resting_transport *inner, const struct flow_key *key)
{
	if (key->protocol == IPPROTO_ICMP) {
		put_echo_head(inner, key);
		return;
	}
	inner->word[0] = key->source_port;
	inner->word[1] = key->destination_port;
	if (key->protocol == IPPROTO_TCP) {
		inner->byte[12] = TCP_HEADER / 4 << 4;
		inner->byte[13] = TCP_ACK;
	} else {
		inner->word[2] = bpf_htons(RESTING_TRANSPORT);
	}
}

static __always_inline void put_resting_ipv4(struct resting_ipv4 *inner, const struct flow_key *key)
{
	inner->ip.version = 4;
	inner->ip.ihl = 5;
	inner->ip.tot_len = bpf_htons(RESTING_IP);
	inner->ip.ttl = SUBSTRATE_TTL;
	inner->ip.protocol = key->protocol;
	inner->ip.saddr = key->source.word[3];
	inner->ip.daddr = key->destination.word[3];
	inner->ip.check = internet_checksum(&inner->ip, sizeof(inner->ip), 0);
	put_transport(&inner->transport, key);
}

/* What NAT64 leads to a gateway. */
static __always_inline void put_resting_ipv6(struct resting_ipv6 *inner, const struct flow_key *key)
{
	begin_icmpv6(&inner->ip, RESTING_TRANSPORT, SUBSTRATE_TTL);
	if (key->protocol != IPPROTO_ICMP)
		inner->ip.next = key->protocol;
	inner->ip.source = key->source;
	inner->ip.destination = key->destination;
	put_transport(&inner->transport, key);
}

static __always_inline bool write_resting(hull_t *hull, const struct flow_key *key)
{
	struct resting_packet inner = {};
	bool ipv4 = is_ipv4(&key->source);

	inner.ethernet.h_proto = bpf_htons(ipv4 ? ETH_P_IP : ETH_P_IPV6);
	if (ipv4)
		put_resting_ipv4(&inner.ipv4, key);
	else
		put_resting_ipv6(&inner.ipv6, key);
	return !store_bytes(hull, CHAINED_HEAD, &inner.ethernet, RESTING_INNER);
}

static __always_inline __u16 quiet_seconds(const struct course *course, const struct tracker *row)
{
	__u64 heard = row->deadline - lifetime(&row->directive);
	__u64 quiet = course->now > heard ? (course->now - heard) / SECOND : 0;

	return quiet + RESTING_ROUNDING;
}

static __always_inline bool write_resting_option(hull_t *hull, const struct course *course, const struct tracker *row)
{
	struct chain_option option = {};

	option.header.option_class = bpf_htons(WIRE_OPTION_CLASS);
	option.header.type = WIRE_OPTION_CHAIN;
	option.header.length_words = CHAIN_OPTION_WORDS;
	option.epoch = bpf_htonl(course->epoch);
	option.interface = bpf_htonl(course->key.interface);
	option.step = CHAIN_COPY;
	option.top = course->self;
	option.decider = NOBODY;
	option.flags = course->flags;
	option.seconds = quiet_seconds(course, row);
	option.source_port = course->key.source_port;
	option.destination_port = course->key.destination_port;
	option.directive = row->directive;
	return !store_bytes(hull, OUTER_HEAD, &option, sizeof(option));
}

static __always_inline bool write_resting_head(hull_t *hull, struct packet *packet, const struct course *course,
					       const struct substrate_config *config)
{
	struct next_hop hop = { .vni = course->key.vni };
	struct wrapping outer = {};

	packet->source = course->key.source;
	packet->destination = course->key.destination;
	packet->protocol = course->key.protocol;
	packet->source_port = course->key.source_port;
	packet->destination_port = course->key.destination_port;
	write_outer(&outer, packet, config, RESTING_FRAME - ETH_HLEN);
	write_geneve(&outer, packet, &hop);
	outer.geneve.version_and_option_words = CHAIN_WORDS;
	outer.geneve.flags = CHAIN_GENEVE_FLAGS;
	return write_head(hull, &outer.ethernet, OUTER_HEAD);
}

static __always_inline bool kept_before(struct course *course)
{
	__u32 keepers = is_young(course) ? trackers_of_key(course, CELL_NODE_PREVIOUS) : NOBODY << 8 | NOBODY;

	return (keepers & 0xff) == course->self || keepers >> 8 == course->self;
}

/* Those that keep it now were dead, or not there: whoever kept it meanwhile may be the only one. */
static __always_inline bool both_came(__u32 first, __u32 second)
{
	__u32 came = lately_came();

	return first < CELL_NODES_MAX && second < CELL_NODES_MAX && came >> first & 1 && came >> second & 1;
}

/* Who is to keep the flow, and is not this node: of two the other one. Who kept it before tells the first, who tells the second. */
static __always_inline __u32 place_of_copy(struct course *course)
{
	__u32 keepers = trackers_of_key(course, CELL_NODE_CURRENT);
	__u32 first = keepers & 0xff, second = keepers >> 8;

	if (first == course->self)
		return second;
	if (second == course->self)
		return first;
	return both_came(first, second) || kept_before(course) ? first : NOBODY;
}

#endif
