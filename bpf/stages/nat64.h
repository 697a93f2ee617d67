/* SPDX-License-Identifier: GPL-2.0-only */
/* Is it for IPv4 behind a NAT gateway, though it is IPv6? The prefix of RFC 6052, 2.1 says so, and the address behind it to whom. */
#ifndef ROOKERY_NAT64_H
#define ROOKERY_NAT64_H

#include "stages/course.h"
#include "stages/gateway.h"
#include "stages/parse.h"
#include "stages/unicast.h"

enum nat64_constant {
	NAT64_PREFIX = 0x0064ff9b,         /* 64:ff9b::/96 */
	IPV6_WITH_FRAGMENT = sizeof(struct ipv6_header) + sizeof(struct ipv6_extension),
};

static __always_inline bool is_nat64(const struct address *address)
{
	return address->word[0] == bpf_htonl(NAT64_PREFIX) && !address->word[1] && !address->word[2];
}

static __always_inline struct address nat64_address(__be32 word)
{
	return (struct address){ .word = { bpf_htonl(NAT64_PREFIX), 0, 0, word } };
}

/* As the frame came, whatever has become of its addresses since. */
static __always_inline bool came_as_ipv6(const struct packet *packet)
{
	return packet->head.frame.h_proto == bpf_htons(ETH_P_IPV6);
}

/* Bytes of the packet's own transport header, in `headers`. */
static __always_inline __u32 transport_bytes(const struct packet *packet)
{
	if (packet->fragment == FRAGMENT_LATER)
		return 0;
	return packet->protocol == IPPROTO_TCP ? (packet->head.transport.byte[12] >> 4) * 4 : UDP_HEADER;
}

/* Bytes in front of the transport, of what find_key() admits. */
static __always_inline __u32 ip_bytes(const struct packet *packet)
{
	return came_as_ipv6(packet) ? packet->headers - transport_bytes(packet) : packet->head.ip.ihl * 4;
}

/* Of the IP packet as it says itself, without what Ethernet may have filled up: how much is behind its first bytes? */
static __always_inline __u32 bytes_behind(const struct packet *packet, __u32 first)
{
	if (came_as_ipv6(packet))
		return bpf_ntohs(packet->head.ipv6.payload) + sizeof(struct ipv6_header) - first;
	return bpf_ntohs(packet->head.ip.tot_len) - first;
}

static __always_inline __u8 hops_left(const struct packet *packet)
{
	return came_as_ipv6(packet) ? packet->head.ipv6.hop_limit : packet->head.ip.ttl;
}

/* Of extension headers a fragment's alone: options say nothing to IPv4, and a routing header has nowhere to lead. */
static __always_inline bool is_plain_ipv6(const struct packet *packet)
{
	__u32 bytes = ip_bytes(packet);

	return bytes == sizeof(struct ipv6_header) || (bytes == IPV6_WITH_FRAGMENT && packet->head.ipv6.next == IPPROTO_FRAGMENT);
}

/* For balancers and endpoints, and from who answers a balancer. Some are for the VPC alone, though their address is the world's. */
static __always_inline enum verdict admit_to_service(const struct packet *packet, const struct attachment *attachment)
{
	const struct gateway *gateway;

	if (!packet->from_outside)
		return CONTINUE;
	if (attachment->flags & ATTACHMENT_SHUT_OUT)
		return DROP_NO_SERVICE;
	gateway = gateway_of(packet, GATEWAY_EGRESS_ONLY);
	if (gateway && (!(gateway->flags & GATEWAY_INTERNET) || answers_egress_only(packet, attachment->route_table)))
		return DROP_UNASKED;
	return CONTINUE;
}

/* To a NAT gateway it leads to IPv4, and nowhere else. */
static __always_inline enum verdict admit_ipv6(const struct packet *packet, const struct course *course)
{
	const struct attachment *attachment = attachment_of(course);
	struct address inside = ipv4_address(packet->destination.word[3]);

	if (!attachment || !is_plain_ipv6(packet))
		return DROP_PROTOCOL;
	if (attachment->kind != ATTACHMENT_NAT)
		return admit_to_service(packet, attachment);
	if (!is_nat64(&packet->destination))
		return DROP_PROTOCOL;
	if (is_multicast(&inside))
		return DROP_MULTICAST;
	return is_link_local(&inside) ? DROP_LINK_LOCAL : CONTINUE;
}

static __always_inline bool changes_family(const struct course *course)
{
	return is_ipv4(&course->key.source) != is_ipv4(&course->directive.source);
}

#endif
