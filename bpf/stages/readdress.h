/* SPDX-License-Identifier: GPL-2.0-only */
/* How do the new addresses get into the packet? Everything else stays: ports, TTL, identification, payload. */
#ifndef ROOKERY_READDRESS_H
#define ROOKERY_READDRESS_H

#include "stages/checksum.h"
#include "stages/parse.h"
#include "stages/translate_quoted.h"

/* The end of an IPv4 header, on a word boundary. */
struct ipv4_end {
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 source;
	__be32 destination;
};

/* What the header's own checksum sees of the change, and the transport's. */
static __always_inline __u32 change_of_addresses(const struct packet *packet)
{
	__be32 before[2] = { packet->head.ip.saddr, packet->head.ip.daddr };
	__be32 now[2] = { packet->source.word[3], packet->destination.word[3] };

	return bpf_csum_diff(before, sizeof(before), now, sizeof(now), 0);
}

static __always_inline bool write_addresses(hull_t *hull, const struct packet *packet, __u32 difference)
{
	const struct iphdr *ip = &packet->head.ip;
	struct ipv4_end end = { .ttl = ip->ttl, .protocol = ip->protocol, .check = mend(ip->check, difference),
				.source = packet->source.word[3], .destination = packet->destination.word[3] };

	return store_words(hull, packet->offset + ETH_HLEN + offsetof(struct iphdr, ttl), &end, sizeof(end));
}

/* `left`: the VPC whose private addresses do not appear outside; `entered`: the one in which they appear again. 0: none. Later
 * fragments have no transport header; the first one's checksum is that of all. */
static __noinline enum verdict readdress(hull_t *hull, const struct packet *packet, __u32 left, __u32 entered)
{
	__u32 difference, transport = packet->offset + ETH_HLEN + packet->head.ip.ihl * 4;

	if (!is_ipv4(&packet->source))
		return CONTINUE;
	difference = change_of_addresses(packet);
	if (quotes(packet) && !translate_quoted(hull, packet, left, entered))
		return DROP_TRANSLATION;
	if (packet->fragment != FRAGMENT_LATER && !mend_transport(hull, packet->protocol, transport, difference))
		return DROP_TRANSLATION;
	return write_addresses(hull, packet, difference) ? CONTINUE : DROP_TRANSLATION;
}

#endif
