/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the same packet look with other addresses, in the other family if need be? Everything else stays: TTL and hop limit,
 * traffic class, ports, payload (RFC 7915, without its ICMP: services get none). */
#ifndef ROOKERY_TRANSLATE_H
#define ROOKERY_TRANSLATE_H

#include "stages/checksum.h"
#include "stages/parse.h"
#include "stages/wrapping.h"

/* New addresses. Who gets the frame, and from whom. */
struct new_addresses {
	struct address source;
	struct address destination;
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
};

/* Two bytes in front of Ethernet put IP on a word boundary: clang writes packed members byte by byte. */
struct ipv4_frame {
	__u16 padding;
	struct ethhdr ethernet;
	struct iphdr ip;
};

struct ipv6_frame {
	__u16 padding;
	struct ethhdr ethernet;
	struct ipv6_header ip;
};

static __always_inline void write_macs(struct ethhdr *ethernet, const struct new_addresses *new, __be16 protocol)
{
	__builtin_memcpy(ethernet->h_dest, new->to, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, new->from, ETH_ALEN);
	ethernet->h_proto = protocol;
}

/* Addresses as the transport's checksum covers them; what else it covers sums up alike in both families (RFC 8200, 8.1). Zero
 * words change no sum. */
static __always_inline void covered_by_checksum(__be32 *words, const struct address *source, const struct address *destination)
{
	__builtin_memcpy(words, source, sizeof(*source));
	__builtin_memcpy(words + 4, destination, sizeof(*destination));
	if (is_ipv4(source))
		words[2] = words[6] = 0;
}

static __always_inline bool mend_checksum(struct __sk_buff *skb, const struct packet *packet, const struct new_addresses *new,
					  __u32 transport)
{
	__be32 before[8], now[8];

	covered_by_checksum(before, &packet->source, &packet->destination);
	covered_by_checksum(now, &new->source, &new->destination);
	return mend_transport(skb, packet->protocol, transport, bpf_csum_diff(before, sizeof(before), now, sizeof(now), 0));
}

/* `packet` as it came: IPv4 without options. */
static __always_inline void write_ipv6(struct ipv6_header *ip, const struct packet *packet)
{
	const struct iphdr *old = &packet->head.ip;

	ip->version_class_flow = bpf_htonl((__u32)IPV6_VERSION << 28 | (__u32)old->tos << 20);
	ip->payload = bpf_htons(bpf_ntohs(old->tot_len) - sizeof(*old));
	ip->next = old->protocol;
	ip->hop_limit = old->ttl;
}

/* ... IPv6 without extension headers. What has a checksum of its own needs no identification (RFC 6864), as it is not cut. */
static __always_inline void write_ipv4(struct iphdr *ip, const struct packet *packet, const struct new_addresses *new)
{
	const struct ipv6_header *old = &packet->head.ipv6;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = bpf_ntohl(old->version_class_flow) >> 20;
	ip->tot_len = bpf_htons(bpf_ntohs(old->payload) + sizeof(*ip));
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = old->hop_limit;
	ip->protocol = old->next;
	ip->saddr = new->source.word[3];
	ip->daddr = new->destination.word[3];
	ip->check = internet_checksum(ip, sizeof(*ip), 0);
}

/* From either family. */
static __always_inline bool translate_to_ipv6(struct __sk_buff *skb, const struct packet *packet, const struct new_addresses *new)
{
	struct ipv6_frame frame;

	if (is_ipv4(&packet->source) && bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0))
		return false;
	write_macs(&frame.ethernet, new, bpf_htons(ETH_P_IPV6));
	if (is_ipv4(&packet->source))
		write_ipv6(&frame.ip, packet);
	else
		__builtin_memcpy(&frame.ip, &packet->head.ipv6, offsetof(struct ipv6_header, source));
	frame.ip.source = new->source;
	frame.ip.destination = new->destination;
	return write_head(skb, &frame.ethernet, ETH_HLEN + sizeof(frame.ip)) &&
	       mend_checksum(skb, packet, new, ETH_HLEN + sizeof(frame.ip));
}

/* From IPv6. */
static __always_inline bool translate_to_ipv4(struct __sk_buff *skb, const struct packet *packet, const struct new_addresses *new)
{
	struct ipv4_frame frame;

	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0))
		return false;
	write_macs(&frame.ethernet, new, bpf_htons(ETH_P_IP));
	write_ipv4(&frame.ip, packet, new);
	return write_head(skb, &frame.ethernet, ETH_HLEN + sizeof(frame.ip)) &&
	       mend_checksum(skb, packet, new, ETH_HLEN + sizeof(frame.ip));
}

#endif
