/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this an ICMP error about a tracked flow? Then it belongs to it: without it no path MTU is ever learnt. */
#ifndef ROOKERY_RELATED_H
#define ROOKERY_RELATED_H

#include <linux/if_ether.h>

#include "stages/connection.h"
#include "stages/parse.h"
#include "stages/quote.h"

/* Both read the addresses as if the quoted packet had left. Where its transport header begins; 0: this is no such packet. */
static __always_inline __u32 read_quoted_ipv4(struct __sk_buff *skb, __u32 offset, struct connection_key *key)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return 0;
	if (ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET))   /* of a later fragment: no ports */
		return 0;
	key->local = ipv4_address(ip.saddr);
	key->remote = ipv4_address(ip.daddr);
	key->protocol = ip.protocol;
	return offset + ip.ihl * 4;
}

static __always_inline __u32 read_quoted_ipv6(struct __sk_buff *skb, __u32 offset, struct connection_key *key)
{
	struct ipv6_header ip;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || bpf_ntohl(ip.version_class_flow) >> 28 != IPV6_VERSION)
		return 0;
	key->local = ip.source;
	key->remote = ip.destination;
	key->protocol = ip.next;
	return offset + sizeof(ip);
}

static __always_inline bool read_quoted_ports(struct __sk_buff *skb, __u32 offset, bool leaves, struct connection_key *key)
{
	__be16 word[4] = {};
	__u8 type;

	if (!has_ports(&key->local, key->protocol))
		return true;
	if (bpf_skb_load_bytes(skb, offset, word, sizeof(word)))
		return false;
	if (!carries_icmp(&key->local, key->protocol)) {
		put_ports(key, leaves, word[0], word[1]);
		return true;
	}
	type = bpf_ntohs(word[0]) >> 8;
	put_echo(key, leaves, type, word[2]);
	return is_echo(key->protocol, type);
}

/* The quoted packet went the other way than the error, which is sent to whoever sent what it is about. 0: it is about no tracked
 * flow. */
static __noinline const struct connection *quoted_flow(struct __sk_buff *skb, const struct packet *packet,
						       enum direction direction, __u32 interface)
{
	__u32 offset = packet->offset + ETH_HLEN + packet->headers;
	struct connection_key key = { .interface = interface };
	bool leaves = direction != EGRESS;
	const struct connection *row;

	if (is_ipv4(&packet->source))
		offset = read_quoted_ipv4(skb, offset, &key);
	else
		offset = read_quoted_ipv6(skb, offset, &key);
	if (!offset || !same_address(&key.local, &packet->destination))
		return 0;
	if (!leaves) {
		key.local = key.remote;
		key.remote = packet->destination;
	}
	if (!read_quoted_ports(skb, offset, leaves, &key))
		return 0;
	row = bpf_map_lookup_elem(&connections, &key);
	return row && !is_over(row, bpf_ktime_get_coarse_ns()) ? row : 0;
}

static __always_inline bool is_related(struct __sk_buff *skb, const struct packet *packet, const struct ends *ends)
{
	return quotes(packet) && quoted_flow(skb, packet, packet->direction, ends->interface);
}

#endif
