/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this an ICMP error about a tracked flow? Then it belongs to it: without it no path MTU is ever learnt. */
#ifndef ROOKERY_RELATED_H
#define ROOKERY_RELATED_H

#include <linux/if_ether.h>

#include "stages/connection.h"

/* Errors that name the packet they are about (RFC 792, RFC 4443). A redirect is none: nobody redirects in a VPC. */
enum related_type {
	UNREACHABLE_V4 = 3,
	TIME_EXCEEDED_V4 = 11,
	PARAMETER_PROBLEM_V4 = 12,
	UNREACHABLE_V6 = 1,
	PARAMETER_PROBLEM_V6 = 4,          /* 2 and 3: too big, time exceeded */
};

struct quoted {
	struct address source;             /* the two as they follow each other in IPv6 */
	struct address destination;
	__u32 offset;                      /* of its transport header */
	__u8 protocol;
};

struct quoted_ipv6 {                       /* RFC 8200, up to the addresses */
	__u8 version_and_class[4];
	__be16 length;
	__u8 next_header;
	__u8 hop_limit;
};

static __always_inline bool quotes(const struct packet *packet)
{
	__u8 type = packet->icmp_type;

	if (packet->fragment == FRAGMENT_LATER)
		return false;
	if (packet->protocol == IPPROTO_ICMP)
		return type == UNREACHABLE_V4 || type == TIME_EXCEEDED_V4 || type == PARAMETER_PROBLEM_V4;
	return packet->protocol == GATE_ICMPV6 && type >= UNREACHABLE_V6 && type <= PARAMETER_PROBLEM_V6;
}

static __always_inline bool read_quoted_ipv4(struct __sk_buff *skb, struct quoted *quoted)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, quoted->offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	if (ip.frag_off & bpf_htons(0x1fff))       /* of a later fragment: no ports */
		return false;
	quoted->source = ipv4_address(ip.saddr);
	quoted->destination = ipv4_address(ip.daddr);
	quoted->protocol = ip.protocol;
	quoted->offset += ip.ihl * 4;
	return true;
}

static __always_inline bool read_quoted_ipv6(struct __sk_buff *skb, struct quoted *quoted)
{
	struct quoted_ipv6 ip;

	if (bpf_skb_load_bytes(skb, quoted->offset, &ip, sizeof(ip)) || ip.version_and_class[0] >> 4 != 6)
		return false;
	if (bpf_skb_load_bytes(skb, quoted->offset + sizeof(ip), &quoted->source, 2 * sizeof(struct address)))
		return false;
	quoted->protocol = ip.next_header;
	quoted->offset += sizeof(ip) + 2 * sizeof(struct address);
	return true;
}

/* The quoted packet went the other way. */
static __always_inline bool quoted_key(struct __sk_buff *skb, const struct packet *packet, const struct quoted *quoted,
				       struct connection_key *key)
{
	bool leaves = packet->direction != EGRESS;
	__be16 word[4] = {};

	key->protocol = quoted->protocol;
	put_ends(key, leaves, &quoted->source, &quoted->destination);
	if (!has_ports(quoted->protocol))
		return true;
	if (bpf_skb_load_bytes(skb, quoted->offset, word, sizeof(word)))
		return false;
	if (!is_icmp(quoted->protocol))
		put_ports(key, leaves, word[0], word[1]);
	else
		put_echo(key, leaves, bpf_ntohs(word[0]) >> 8, word[2]);
	return is_icmp(quoted->protocol) ? is_echo(quoted->protocol, bpf_ntohs(word[0]) >> 8) : true;
}

static __noinline bool is_about_tracked(struct __sk_buff *skb, const struct packet *packet, __u32 interface, __u64 now)
{
	struct quoted quoted = { .offset = packet->offset + ETH_HLEN + packet->headers };
	struct connection_key key = { .interface = interface };
	const struct connection *row;

	if (packet->protocol == IPPROTO_ICMP ? !read_quoted_ipv4(skb, &quoted) : !read_quoted_ipv6(skb, &quoted))
		return false;
	/* An error is sent to whoever sent what it is about. */
	if (!same_address(&quoted.source, &packet->destination) || !quoted_key(skb, packet, &quoted, &key))
		return false;
	row = bpf_map_lookup_elem(&connections, &key);
	return row && !is_over(row, now);
}

static __always_inline bool is_related(struct __sk_buff *skb, const struct packet *packet, __u32 interface, __u64 now)
{
	return quotes(packet) && is_about_tracked(skb, packet, interface, now);
}

#endif
