/* SPDX-License-Identifier: GPL-2.0-only */
/* Is this a kind of address that a VPC carries at all? */
#ifndef ROOKERY_UNICAST_H
#define ROOKERY_UNICAST_H

#include "stages/packet.h"

static __always_inline bool is_multicast(const struct address *address)
{
	__u32 word = bpf_ntohl(address->word[3]);

	if (!is_ipv4(address))
		return (bpf_ntohl(address->word[0]) & 0xff000000) == 0xff000000;
	return (word & 0xf0000000) == 0xe0000000 || word == 0xffffffff;
}

/* fe80::/10. */
static __always_inline bool is_link_local_ipv6(const struct address *address)
{
	return (bpf_ntohl(address->word[0]) & 0xffc00000) == 0xfe800000;
}

/* 169.254.0.0/16; fe80::/10, and fd00:ec2::/32, which has the place of the former's services. */
static __always_inline bool is_link_local(const struct address *address)
{
	if (is_ipv4(address))
		return (bpf_ntohl(address->word[3]) & 0xffff0000) == 0xa9fe0000;
	return is_link_local_ipv6(address) || address->word[0] == bpf_htonl(0xfd000ec2);
}

static __always_inline enum verdict refuse_multicast(const struct packet *packet)
{
	if (packet->head.frame.h_dest[0] & 1 || is_multicast(&packet->destination))
		return DROP_MULTICAST;
	return CONTINUE;
}

/* As a source; service.h has the destinations. */
static __always_inline enum verdict refuse_link_local(const struct packet *packet)
{
	return is_link_local(&packet->source) ? DROP_LINK_LOCAL : CONTINUE;
}

/* Neither neighbour.h nor anybody else sends it on. Of a later fragment the type is not known. */
static __always_inline bool is_neighbour_discovery(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 && !is_ipv4(&packet->source) && packet->fragment != FRAGMENT_LATER &&
	       packet->icmp_type >= ICMPV6_ROUTER_SOLICITATION && packet->icmp_type <= ICMPV6_REDIRECT;
}

/* No host sends it either. */
static __always_inline enum verdict refuse_neighbour_discovery(const struct packet *packet)
{
	return is_neighbour_discovery(packet) ? DROP_NEIGHBOUR_UNANSWERED : CONTINUE;
}

#endif
