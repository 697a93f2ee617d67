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

static __always_inline enum verdict parse_ethernet(struct __sk_buff *skb, struct packet *packet)
{
	const __u32 room = sizeof(packet->head) - sizeof(packet->head.padding);

	packet->length = skb->len - packet->offset;
	if (copy_head(skb, packet->offset, &packet->head.frame, room) < ETH_HLEN)
		return DROP_TRUNCATED;
	return CONTINUE;
}

static __always_inline __u32 transport_minimum(__u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return TCP_HEADER;
	return protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ? UDP_HEADER : 0;
}

static __always_inline bool is_icmp_error(__u8 type)
{
	return type != ICMP_ECHO && type != ICMP_ECHOREPLY && type != ICMP_TIMESTAMP && type != ICMP_TIMESTAMPREPLY;
}

static __always_inline void parse_icmp(struct packet *packet, const struct transport *transport)
{
	packet->unanswerable = is_icmp_error(transport->icmp.type);
	packet->icmp_type = transport->icmp.type;
	packet->icmp_code = transport->icmp.code;
	if (transport->icmp.type == ICMP_ECHO || transport->icmp.type == ICMP_ECHOREPLY)
		packet->source_port = transport->icmp.identifier;
	packet->headers += UDP_HEADER;
}

/* IP options push the transport out of the head. */
static __always_inline bool find_transport(struct __sk_buff *skb, struct packet *packet)
{
	__u32 bytes = packet->protocol == IPPROTO_TCP ? sizeof(struct transport) : UDP_HEADER;

	if (packet->headers == sizeof(struct iphdr))
		return true;
	return !bpf_skb_load_bytes(skb, packet->offset + ETH_HLEN + packet->headers, &packet->head.transport, bytes);
}

static __always_inline enum verdict parse_transport(struct __sk_buff *skb, struct packet *packet, __u32 payload)
{
	const struct transport *transport = &packet->head.transport;
	__u32 minimum = transport_minimum(packet->protocol);

	if (!minimum)
		return CONTINUE;
	if (payload < minimum || !find_transport(skb, packet))
		return DROP_TRUNCATED;
	if (packet->protocol == IPPROTO_ICMP) {
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
static __always_inline void measure(struct __sk_buff *skb, struct packet *packet, __u32 total)
{
	__u32 size = skb->gso_size;

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

static __always_inline enum verdict parse_ipv4(struct __sk_buff *skb, struct packet *packet)
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
		verdict = parse_transport(skb, packet, total - packet->headers);
	measure(skb, packet, total);
	return verdict;
}

static __always_inline enum verdict parse_ip(struct __sk_buff *skb, struct packet *packet)
{
	enum verdict verdict;

	/* A VPC has no VLANs: a tag must not slip through as the metadata it becomes. */
	if (packet->head.frame.h_proto != bpf_htons(ETH_P_IP) || skb->vlan_present)
		return DROP_NOT_IP;
	verdict = parse_ipv4(skb, packet);
	if (!verdict)
		tell(packet, STEP_RECEIVED, CONTINUE, 0);
	return verdict;
}

#endif
