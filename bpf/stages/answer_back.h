/* SPDX-License-Identifier: GPL-2.0-only */
/* What does a cell itself say to a sender? That its connection is no more, that its packet is too large, or came too far. The attachment
 * says it, and its subnet's routes lead there. */
#ifndef ROOKERY_ANSWER_BACK_H
#define ROOKERY_ANSWER_BACK_H

#include "stages/emit.h"
#include "stages/rewrite.h"

enum answer_constant {
	QUOTED_SHORT = 28,                 /* RFC 792: the header, and eight bytes */
	QUOTED_LONG = 128,
	TTL_OF_ANSWERS = 64,
};

struct told {
	struct iphdr ip;
	struct icmp_header icmp;
	__u8 quoted[QUOTED_LONG];
};

struct reset {
	struct iphdr ip;
	__be32 ports;
	__be32 sequence;
	__be32 acknowledged;
	__be32 flags_and_window;
	__u16 checksum;
	__be16 urgent;
};

static __always_inline void write_ip(struct iphdr *ip, __u32 bytes, __u8 protocol, __be32 from, __be32 to)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(bytes);
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = TTL_OF_ANSWERS;
	ip->protocol = protocol;
	ip->saddr = from;
	ip->daddr = to;
	ip->check = internet_checksum(ip, sizeof(*ip), 0);
}

/* Back to the sender, from the attachment or in the name of `from`. */
static __always_inline enum verdict turn_back_to_sender(struct __sk_buff *skb, struct packet *packet, struct course *course,
							__be32 from, __u8 protocol)
{
	enum verdict verdict;

	packet->destination = ipv4_address(packet->head.ip.saddr);
	packet->source = ipv4_address(from);
	packet->protocol = protocol;
	packet->source_port = 0;
	packet->destination_port = 0;
	packet->fragment = FRAGMENT_NONE;
	if ((verdict = enter_exit(packet, course, &course->attachment)))
		return verdict;
	return find_way(skb);
}

static __always_inline enum verdict send_answer(struct __sk_buff *skb, struct packet *packet, __u32 bytes)
{
	enum verdict verdict;

	packet->largest = bytes;
	packet->length = ETH_HLEN + bytes;
	packet->segments = 1;
	verdict = depart(skb);
	return verdict == SENT ? ANSWERED : verdict;
}

static __always_inline __u32 quotable(const struct packet *packet)
{
	return packet->length >= ETH_HLEN + QUOTED_LONG ? QUOTED_LONG : QUOTED_SHORT;
}

/* On the heap of the run: no stack has room for what is quoted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct told);
} scratch_told SEC(".maps");

static __always_inline __u16 icmp_sum(const struct told *told, __u32 quoted)
{
	__s64 sum = quoted == QUOTED_LONG ? bpf_csum_diff(0, 0, (__be32 *)told->quoted, QUOTED_LONG, 0) :
					    bpf_csum_diff(0, 0, (__be32 *)told->quoted, QUOTED_SHORT, 0);
	__u32 folded = ((__u32)sum & 0xffff) + ((__u32)sum >> 16);

	return internet_checksum(&told->icmp, sizeof(told->icmp), folded);
}

static __always_inline bool write_told(struct __sk_buff *skb, struct packet *packet, struct told *told, __u32 quoted, __be32 from)
{
	__u32 at = inner_ip(packet), head = sizeof(told->ip) + sizeof(told->icmp);

	write_ip(&told->ip, head + quoted, IPPROTO_ICMP, from, packet->head.ip.saddr);
	told->icmp.checksum = 0;
	told->icmp.checksum = icmp_sum(told, quoted);
	if (bpf_skb_change_tail(skb, at + head + quoted, 0))
		return false;
	return quoted == QUOTED_LONG ? !bpf_skb_store_bytes(skb, at, told, sizeof(*told), 0) :
				       !bpf_skb_store_bytes(skb, at, told, sizeof(*told) - QUOTED_LONG + QUOTED_SHORT, 0);
}

/* An ICMP error about the packet as its sender sent it. */
__noinline int tell_sender(struct __sk_buff *skb, __u32 type_and_code, __u32 mtu)
{
	const __u32 only = 0;
	struct told *told = bpf_map_lookup_elem(&scratch_told, &only);
	struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 quoted;
	enum verdict verdict;

	if (!told || !course || !packet)
		return DROP_NOT_CONFIGURED;
	quoted = quotable(packet);
	if (quoted == QUOTED_LONG ? bpf_skb_load_bytes(skb, inner_ip(packet), told->quoted, QUOTED_LONG) :
				    bpf_skb_load_bytes(skb, inner_ip(packet), told->quoted, QUOTED_SHORT))
		return DROP_TRUNCATED;
	packet->icmp_type = type_and_code >> 8;
	packet->icmp_code = type_and_code;
	if ((verdict = turn_back_to_sender(skb, packet, course, course->exit.primary.word[3], IPPROTO_ICMP)))
		return verdict;
	told->icmp = (struct icmp_header){ .type = type_and_code >> 8, .code = type_and_code, .mtu = bpf_htons(mtu) };
	if (!write_told(skb, packet, told, quoted, course->exit.primary.word[3]))
		return DROP_TRANSLATION;
	return send_answer(skb, packet, sizeof(told->ip) + sizeof(told->icmp) + quoted);
}

/* RFC 9293, 3.10.7.1: what answers a segment of a connection that is not there. */
static __always_inline void write_reset(struct reset *reset, const struct packet *packet, const __be32 *old, __u32 payload)
{
	bool acknowledges = packet->tcp_flags & TCP_ACK;
	__u32 length = payload + !!(packet->tcp_flags & TCP_SYN) + !!(packet->tcp_flags & TCP_FIN);

	write_ip(&reset->ip, sizeof(*reset), IPPROTO_TCP, packet->source.word[3], packet->destination.word[3]);
	reset->ports = old[0] << 16 | old[0] >> 16;
	reset->sequence = acknowledges ? old[2] : 0;
	reset->acknowledged = acknowledges ? 0 : bpf_htonl(bpf_ntohl(old[1]) + length);
	reset->flags_and_window = bpf_htonl(5u << 28 | (__u32)(acknowledges ? TCP_RST : TCP_RST | TCP_ACK) << 16);
	reset->checksum = 0;
	reset->urgent = 0;
}

/* Does the kernel expect the pseudo header's sum alone in the field, and sum up the rest itself? Then it leaves a change of the rest
 * alone. */
static __always_inline bool is_summed_later(struct __sk_buff *skb, __u32 place)
{
	__u16 field = 0;

	return !bpf_skb_store_bytes(skb, place, &field, sizeof(field), 0) && !bpf_l4_csum_replace(skb, place, 0, 1, 2) &&
	       !bpf_skb_load_bytes(skb, place, &field, sizeof(field)) && !field;
}

static __always_inline __u16 reset_checksum(const struct reset *reset, bool summed_later)
{
	__be32 pseudo[3] = { reset->ip.saddr, reset->ip.daddr,
			     bpf_htonl((__u32)IPPROTO_TCP << 16 | (sizeof(*reset) - sizeof(reset->ip))) };
	__u32 sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);
	__be32 segment[5] = { reset->ports, reset->sequence, reset->acknowledged, reset->flags_and_window, 0 };

	if (summed_later)
		return ~fold(sum);
	return fold(bpf_csum_diff(0, 0, segment, sizeof(segment), sum));
}

/* In the name of whom the sender believed at the other end. */
__noinline int reset_sender(struct __sk_buff *skb)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct reset reset;
	__u32 at, payload;
	__be32 old[3];
	enum verdict verdict;

	if (!course || !packet || packet->head.ip.ihl != 5 || packet->tcp_flags & TCP_RST)
		return DROP_NO_FLOW;
	at = inner_ip(packet);
	if (bpf_skb_load_bytes(skb, at + sizeof(reset.ip), old, sizeof(old)))
		return DROP_TRUNCATED;
	payload = bpf_ntohs(packet->head.ip.tot_len) - packet->headers;
	if ((verdict = turn_back_to_sender(skb, packet, course, packet->head.ip.daddr, IPPROTO_TCP)))
		return verdict;
	write_reset(&reset, packet, old, payload);
	if (bpf_skb_change_tail(skb, at + sizeof(reset), 0))
		return DROP_TRANSLATION;
	reset.checksum = reset_checksum(&reset, is_summed_later(skb, at + sizeof(reset.ip) + TCP_CHECKSUM));
	if (bpf_skb_store_bytes(skb, at, &reset, sizeof(reset), 0))
		return DROP_TRANSLATION;
	tell(packet, STEP_RESET, CONTINUE, 0);
	return send_answer(skb, packet, sizeof(reset));
}

#endif
