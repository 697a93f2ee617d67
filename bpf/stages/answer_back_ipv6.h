/* SPDX-License-Identifier: GPL-2.0-only */
/* What does a cell itself say to a sender that speaks IPv6? The same as to one that speaks IPv4 (answer_back.h). A NAT gateway says it as the IPv4
 * address that it has inside the VPC, behind the prefix of RFC 6052. */
#ifndef ROOKERY_ANSWER_BACK_IPV6_H
#define ROOKERY_ANSWER_BACK_IPV6_H

#include "stages/answer_back.h"
#include "stages/icmp_across.h"
#include "stages/nat64.h"

enum answer_ipv6_constant {
	QUOTED_SHORT_IPV6 = sizeof(struct ipv6_header) + 8,
};

struct told_ipv6 {
	struct ipv6_header ip;
	struct icmpv6_too_big icmp;
	__u8 quoted[QUOTED_LONG];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told_ipv6);
} scratch_told_ipv6 SEC(".maps");

static __always_inline bool is_at_nat(const struct course *course)
{
	const struct attachment *attachment = attachment_of(course);

	return attachment && attachment->kind == ATTACHMENT_NAT;
}

/* As which the sender knows the attachment. */
static __always_inline struct address own_ipv6(const struct course *course)
{
	return is_at_nat(course) ? nat64_address(course->as_attached.primary.word[3]) : course->as_attached.primary_ipv6;
}

/* `packet` says from whom. */
static __always_inline enum verdict turn_back_ipv6(hull_t *hull, struct packet *packet, struct course *course)
{
	packet->destination = course->key.source;
	return go_back(hull, packet, course);
}

static __always_inline bool write_told_ipv6(hull_t *hull, struct packet *packet, struct told_ipv6 *told, bool whole)
{
	const __u32 most = sizeof(told->icmp) + QUOTED_LONG, least = sizeof(told->icmp) + QUOTED_SHORT_IPV6;
	__u32 bytes = whole ? most : least, at = OUTER_HEAD + ETH_HLEN;

	begin_icmpv6(&told->ip, bytes, TTL_OF_ANSWERS);
	told->ip.source = packet->source;
	told->ip.destination = packet->destination;
	told->icmp.checksum = fold(whole ? icmpv6_sum(&told->ip, &told->icmp, most, most) : icmpv6_sum(&told->ip, &told->icmp, least, least));
	if (!make_answer_room(hull, packet, sizeof(told->ip) + bytes))
		return false;
	return whole ? !store_bytes(hull, at, told, sizeof(told->ip) + most) :
		       !store_bytes(hull, at, told, sizeof(told->ip) + least);
}

/* `type_and_code` as ICMP of IPv4 says it: that the hop limit has run out, or what is too large. */
__noinline int tell_sender_ipv6(hull_t *hull, __u32 type_and_code, __u32 mtu)
{
	const __u32 only = 0;
	struct told_ipv6 *told = bpf_map_lookup_elem(&scratch_told_ipv6, &only);
	bool expired = type_and_code >> 8 == ICMP_TIME_EXCEEDED;
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;
	__u32 quoted;

	if (!told || !course || !packet)
		return DROP_NOT_CONFIGURED;
	if (segment_of(hull))
		return DROP_TOO_BIG;
	quoted = !load_bytes(hull, inner_ip(packet), told->quoted, QUOTED_LONG);
	if (!quoted && load_bytes(hull, inner_ip(packet), told->quoted, QUOTED_SHORT_IPV6))
		return DROP_TRUNCATED;
	told->icmp = (struct icmpv6_too_big){ .type = expired ? ICMPV6_TIME_EXCEEDED : ICMPV6_TOO_BIG, .mtu = bpf_htonl(mtu) };
	packet->source = own_ipv6(course);
	packet->protocol = IPPROTO_ICMPV6;
	packet->icmp_type = told->icmp.type;
	packet->icmp_code = 0;
	if ((verdict = turn_back_ipv6(hull, packet, course)))
		return verdict;
	if (!write_told_ipv6(hull, packet, told, quoted))
		return DROP_TRANSLATION;
	packet->head.frame.h_proto = bpf_htons(ETH_P_IPV6);
	return send_answer(hull, packet, sizeof(told->ip) + sizeof(told->icmp) + (quoted ? QUOTED_LONG : QUOTED_SHORT_IPV6));
}

/* Behind the header's first seven bytes. */
static __always_inline bool write_ends_ipv6(hull_t *hull, const struct packet *packet)
{
	const __u8 hops = TTL_OF_ANSWERS;
	__u32 at = inner_ip(packet);

	return !store_bytes(hull, at + offsetof(struct ipv6_header, hop_limit), &hops, sizeof(hops)) &&
	       !store_bytes(hull, at + offsetof(struct ipv6_header, source), &packet->source, 2 * sizeof(struct address));
}

/* As reset_sender(). */
__noinline int reset_sender_ipv6(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 payload, bytes, transport;
	enum verdict verdict;

	if (!course || !packet || packet->tcp_flags & TCP_RST || segment_of(hull))
		return DROP_NO_FLOW;
	bytes = bytes_behind(packet, 0);
	payload = bytes - packet->headers;
	transport = transport_place(packet);
	packet->source = course->key.destination;
	if ((verdict = turn_back_ipv6(hull, packet, course)))
		return verdict;
	if (!write_segment(hull, transport, packet, payload) || !write_ends_ipv6(hull, packet))
		return DROP_TRANSLATION;
	tell(packet, STEP_RESET, CONTINUE, 0);
	verdict = send_answer(hull, packet, bytes);
	if (verdict == ANSWERED && !packet->what_if)
		tell_reset(packet, course);
	return verdict;
}

#endif
