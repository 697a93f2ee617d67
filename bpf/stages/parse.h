/* SPDX-License-Identifier: GPL-2.0-only */
/* What does this frame say? The only stage that knows address families. */
#ifndef ROOKERY_PARSE_H
#define ROOKERY_PARSE_H

#include <linux/in.h>
#include <linux/ip.h>

#include "stages/report.h"

enum parse_constant {
	IP_MORE_FRAGMENTS = 0x2000,
	IP_DONT_FRAGMENT = 0x4000,
	IP_FRAGMENT_OFFSET = 0x1fff,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
};

static __always_inline enum verdict parse_ethernet(hull_t *hull, struct packet *packet)
{
	packet->length -= packet->offset;
	if (copy_head(hull, packet->offset, &packet->head.frame, HEAD_AT_ONCE) < ETH_HLEN)
		return DROP_TRUNCATED;
	return CONTINUE;
}

static __always_inline __u32 transport_minimum(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return TCP_HEADER;
	return packet->protocol == IPPROTO_UDP || carries_icmp(&packet->source, packet->protocol) ? UDP_HEADER : 0;
}

/* RFC 4443, 2.4: a redirect is none, but must not be answered with one either. */
static __always_inline bool is_icmp_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type < ICMPV6_ERRORS || type == ICMPV6_REDIRECT;
	return type != ICMP_ECHO && type != ICMP_ECHOREPLY && type != ICMP_TIMESTAMP && type != ICMP_TIMESTAMPREPLY;
}

static __always_inline void parse_icmp(struct packet *packet, const struct transport *transport)
{
	packet->unanswerable = is_icmp_error(packet->protocol, transport->icmp.type);
	packet->icmp_type = transport->icmp.type;
	packet->icmp_code = transport->icmp.code;
	if (is_echo(packet->protocol, transport->icmp.type))
		packet->source_port = transport->icmp.identifier;
	packet->headers += UDP_HEADER;
}

/* IP options push the transport out of the head, IPv6 always does. */
static __always_inline bool find_transport(hull_t *hull, struct packet *packet)
{
	__u32 offset = packet->offset + ETH_HLEN + packet->headers;

	if (packet->headers == sizeof(struct iphdr))
		return true;
	if (packet->protocol == IPPROTO_TCP)
		return load_words(hull, offset, &packet->head.transport, sizeof(struct transport));
	return load_words(hull, offset, &packet->head.transport, UDP_HEADER);
}

static __always_inline enum verdict parse_transport(hull_t *hull, struct packet *packet, __u32 payload)
{
	const struct transport *transport = &packet->head.transport;
	__u32 minimum = transport_minimum(packet);

	if (!minimum)
		return CONTINUE;
	if (payload < minimum || !find_transport(hull, packet))
		return DROP_TRUNCATED;
	if (carries_icmp(&packet->source, packet->protocol)) {
		parse_icmp(packet, transport);
		return CONTINUE;
	}
	packet->source_port = transport->port.source;
	packet->destination_port = transport->port.destination;
	if (packet->protocol == IPPROTO_TCP)
		packet->tcp_flags = transport->byte[13];
	packet->headers += packet->protocol == IPPROTO_TCP ? (transport->byte[12] >> 4) * 4 : UDP_HEADER;
	return CONTINUE;
}

/* What must fit into the path: the frame's whole content, or one segment of a super-packet. */
static __always_inline void measure(hull_t *hull, struct packet *packet, __u32 total)
{
	__u32 size = segment_of(hull);

	packet->largest = packet->length - ETH_HLEN;
	if (!size || total <= packet->headers)
		return;
	packet->segments = (total - packet->headers + size - 1) / size;
	packet->largest = packet->headers + size;
}

static __always_inline void read_ipv4(struct packet *packet, const struct iphdr *ip)
{
	packet->headers = ip->ihl * 4;
	packet->source = ipv4_address(ip->saddr);
	packet->destination = ipv4_address(ip->daddr);
	packet->protocol = ip->protocol;
	packet->dont_fragment = ip->frag_off & bpf_htons(IP_DONT_FRAGMENT);
	packet->unanswerable = ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET);
	packet->identification = bpf_ntohs(ip->id);
	if (packet->unanswerable)
		packet->fragment = FRAGMENT_LATER;
	else if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS))
		packet->fragment = FRAGMENT_FIRST;
}

static __always_inline enum verdict parse_ipv4(hull_t *hull, struct packet *packet)
{
	__u32 present = packet->length - ETH_HLEN, total = bpf_ntohs(packet->head.ip.tot_len);
	const struct iphdr *ip = &packet->head.ip;
	enum verdict verdict = CONTINUE;

	if (present < sizeof(*ip))
		return DROP_TRUNCATED;
	read_ipv4(packet, ip);
	if (ip->version != 4 || packet->headers < sizeof(*ip) || total < packet->headers)
		return DROP_MALFORMED_IP;
	if (packet->headers > present)
		return DROP_TRUNCATED;
	if (total > present)
		return DROP_MALFORMED_IP;
	if (packet->fragment != FRAGMENT_LATER)
		verdict = parse_transport(hull, packet, total - packet->headers);
	measure(hull, packet, total);
	return verdict;
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
	       protocol == IPPROTO_DSTOPTS;
}

/* A fragment that is the whole packet is none (RFC 6946). */
static __always_inline void read_fragment(struct packet *packet, const struct ipv6_extension *extension)
{
	packet->identification = bpf_ntohl(extension->identification);
	packet->unanswerable = extension->fragment & bpf_htons(IPV6_FRAGMENT_OFFSET);
	if (packet->unanswerable)
		packet->fragment = FRAGMENT_LATER;
	else if (extension->fragment & bpf_htons(IPV6_MORE_FRAGMENTS))
		packet->fragment = FRAGMENT_FIRST;
}

static __always_inline enum verdict read_extension(hull_t *hull, struct packet *packet, __u32 total)
{
	struct ipv6_extension extension;
	__u32 size = sizeof(extension);

	if (packet->protocol == IPPROTO_HOPOPTS && packet->headers != sizeof(struct ipv6_header))
		return DROP_MALFORMED_IP;
	if (packet->headers + size > total ||
	    load_bytes(hull, packet->offset + ETH_HLEN + packet->headers, &extension, sizeof(extension)))
		return DROP_TRUNCATED;
	if (packet->protocol == IPPROTO_FRAGMENT)
		read_fragment(packet, &extension);
	else
		size += extension.length * 8;
	packet->headers += size;
	packet->protocol = extension.next;
	return packet->headers > total ? DROP_TRUNCATED : CONTINUE;
}

/* Up to the transport, or to what a later fragment has in its place. Not static: the verifier walks it once, on its own, and
 * not anew for every way that leads here. */
__noinline enum verdict walk_extensions(hull_t *hull, struct packet *packet, __u32 total)
{
	enum verdict verdict;

	if (!packet)                       /* it does not know that there is one, either */
		return DROP_TRUNCATED;
	for (__u32 i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (packet->fragment == FRAGMENT_LATER || !is_extension(packet->protocol))
			return CONTINUE;
		if ((verdict = read_extension(hull, packet, total)))
			return verdict;
	}
	return packet->fragment != FRAGMENT_LATER && is_extension(packet->protocol) ? DROP_MALFORMED_IP : CONTINUE;
}

static __always_inline void read_ipv6(struct packet *packet, const struct ipv6_header *ip)
{
	packet->headers = sizeof(*ip);
	packet->source = ip->source;
	packet->destination = ip->destination;
	packet->protocol = ip->next;
	packet->dont_fragment = true;      /* only its sender cuts an IPv6 packet */
}

/* An IPv4 address in an IPv6 packet would pass for IPv4 in every later stage. */
static __always_inline enum verdict parse_ipv6(hull_t *hull, struct packet *packet)
{
	__u32 present = packet->length - ETH_HLEN, total;
	struct ipv6_header *ip = &packet->head.ipv6;
	enum verdict verdict = CONTINUE;

	if (present < sizeof(*ip) || !load_words(hull, packet->offset + HEAD_AT_ONCE, &ip->destination.word[3], 4))
		return DROP_TRUNCATED;
	read_ipv6(packet, ip);
	total = sizeof(*ip) + bpf_ntohs(ip->payload);
	if (bpf_ntohl(ip->version_class_flow) >> 28 != IPV6_VERSION || total > present)
		return DROP_MALFORMED_IP;
	if (is_ipv4(&packet->source) || is_ipv4(&packet->destination))
		return DROP_MALFORMED_IP;
	if (is_extension(packet->protocol))
		verdict = walk_extensions(hull, packet, total);
	if (!verdict && packet->fragment != FRAGMENT_LATER)
		verdict = parse_transport(hull, packet, total - packet->headers);
	measure(hull, packet, total);
	return verdict;
}

static __always_inline enum verdict parse_ip(hull_t *hull, struct packet *packet)
{
	enum verdict verdict;

	/* A VPC has no VLANs: a tag must not slip through as the metadata it becomes. */
	if (is_tagged(hull))
		return DROP_NOT_IP;
	if (packet->head.frame.h_proto == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(hull, packet);
	else if (packet->head.frame.h_proto == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6(hull, packet);
	else
		return DROP_NOT_IP;
	if (!verdict)
		tell(packet, STEP_RECEIVED, CONTINUE, 0);
	return verdict;
}

#endif
