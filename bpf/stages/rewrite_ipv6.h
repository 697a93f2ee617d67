/* SPDX-License-Identifier: GPL-2.0-only */
/* How do a directive's addresses and ports get into a packet of IPv6 that stays one? Its header has no checksum, and all others cover addresses. */
#ifndef ROOKERY_REWRITE_IPV6_H
#define ROOKERY_REWRITE_IPV6_H

#include "stages/cross_error.h"

/* Of an error's own addresses: it may come from a router, of which its flow's key does not know. */
static __always_inline bool mend_ends_of_error(hull_t *hull, const struct packet *packet, __u32 place)
{
	struct address before[2];

	if (load_bytes(hull, inner_ip(packet) + offsetof(struct ipv6_header, source), before, sizeof(before)))
		return false;
	return mend_in_place(hull, place, bpf_csum_diff((__be32 *)before, sizeof(before), (__be32 *)&packet->source, sizeof(before), 0), false);
}

static __always_inline bool write_front_ipv6(hull_t *hull, const struct packet *packet)
{
	__u8 hops = packet->head.ipv6.hop_limit - 1;
	__u32 at = inner_ip(packet);

	return !store_bytes(hull, at + offsetof(struct ipv6_header, hop_limit), &hops, sizeof(hops)) &&
	       !store_bytes(hull, at + offsetof(struct ipv6_header, source), &packet->source, 2 * sizeof(struct address));
}

/* The quoted packet went the other way: its source is the directive's destination. */
static __always_inline bool write_quoted_ends(hull_t *hull, const struct directive *directive, __u32 at)
{
	return !store_bytes(hull, at + offsetof(struct ipv6_header, source), &directive->destination, sizeof(struct address)) &&
	       !store_bytes(hull, at + offsetof(struct ipv6_header, destination), &directive->source, sizeof(struct address));
}

/* Follows `difference`, which is then what the error's own checksum has still to follow. */
static __always_inline bool mend_quoted_sum(hull_t *hull, const struct packet *packet, __u32 place, bool udp, __u32 *difference)
{
	__be32 was = 0, is = 0;
	__u16 sum;

	if (place + sizeof(sum) > inner_ip(packet) + sizeof(struct ipv6_header) + bpf_ntohs(packet->head.ipv6.payload) ||
	    load_bytes(hull, place, &sum, sizeof(sum)))
		return true;
	was = sum;
	sum = udp ? mend_udp(sum, *difference) : mend(sum, *difference);
	is = sum;
	*difference = bpf_csum_diff(&was, sizeof(was), &is, sizeof(is), *difference);
	return !store_bytes(hull, place, &sum, sizeof(sum));
}

__noinline int rewrite_quoted_ipv6(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	__u32 at, difference;
	__be32 before, now;
	__u8 protocol;

	if (!course || !packet)
		return DROP_TRANSLATION;
	at = inner_ip(packet) + packet->headers;
	if (load_bytes(hull, at + offsetof(struct ipv6_header, next), &protocol, sizeof(protocol)) ||
	    load_bytes(hull, at + sizeof(struct ipv6_header), &before, sizeof(before)))
		return DROP_TRUNCATED;
	if (!checksum_place(protocol))
		return DROP_PROTOCOL;
	now = ports_word(course->directive.destination_port, course->directive.source_port);
	difference = word_difference(before, now, difference_of_ends(course));
	if (!write_quoted_ends(hull, &course->directive, at) || store_bytes(hull, at + sizeof(struct ipv6_header), &now, sizeof(now)))
		return DROP_TRANSLATION;
	at += sizeof(struct ipv6_header) + checksum_place(protocol);
	if (!mend_quoted_sum(hull, packet, at, protocol == IPPROTO_UDP, &difference))
		return DROP_TRANSLATION;
	at = transport_place(packet) + ICMP_CHECKSUM;
	return mend_ends_of_error(hull, packet, at) && mend_covered(hull, at, difference, false) ? CONTINUE : DROP_TRANSLATION;
}

static __always_inline bool rewrite_transport_ipv6(hull_t *hull, const struct packet *packet, const struct course *course)
{
	__u32 at = transport_place(packet);

	if (packet->fragment == FRAGMENT_LATER)
		return true;
	return mend_transport(hull, packet->protocol, at, difference_of_ends(course)) && write_ports(hull, packet, at);
}

/* As rewrite(). Nobody listens for echoes where IPv6 stays IPv6: there are ports. */
__noinline int rewrite_ipv6(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	enum verdict verdict;

	if (!course || !packet)
		return DROP_TRANSLATION;
	if (quotes(packet)) {
		if ((verdict = rewrite_quoted_ipv6(hull)))
			return verdict;
	} else if (!rewrite_transport_ipv6(hull, packet, course)) {
		return DROP_TRANSLATION;
	}
	return write_front_ipv6(hull, packet) ? CONTINUE : DROP_TRANSLATION;
}

#endif
