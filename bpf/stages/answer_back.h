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

/* From the sequence number on: what of a segment's header says more than who sends it to whom. */
struct segment {
	__be32 sequence;
	__be32 acknowledged;
	__be32 flags_and_window;
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

/* To whom the packet came from: `packet` says in whose name. */
static __always_inline enum verdict go_back(hull_t *hull, struct packet *packet, struct course *course)
{
	enum verdict verdict;

	packet->source_port = 0;
	packet->destination_port = 0;
	packet->fragment = FRAGMENT_NONE;
	if ((verdict = enter_exit(packet, course, &course->attachment)))
		return verdict;
	return find_way(hull);
}

/* Back to the sender, from the attachment or in the name of `from`. */
static __always_inline enum verdict turn_back_to_sender(hull_t *hull, struct packet *packet, struct course *course,
							__be32 from, __u8 protocol)
{
	packet->destination = ipv4_address(packet->head.ip.saddr);
	packet->source = ipv4_address(from);
	packet->protocol = protocol;
	return go_back(hull, packet, course);
}

static __always_inline enum verdict send_answer(hull_t *hull, struct packet *packet, __u32 bytes)
{
	enum verdict verdict;

	packet->largest = bytes;
	packet->length = ETH_HLEN + bytes;
	packet->segments = 1;
	verdict = leave_cell(hull);
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

/* All of it is written anew. */
static __always_inline bool make_answer_room(hull_t *hull, struct packet *packet, __u32 bytes)
{
	__s32 more = (__s32)(OUTER_HEAD + ETH_HLEN + bytes) - (__s32)length_of(hull);

	if (!change_length(hull, more))
		return false;
	packet->offset = OUTER_HEAD;
	return true;
}

static __always_inline bool write_told(hull_t *hull, struct packet *packet, struct told *told, __u32 quoted, __be32 from)
{
	__u32 bytes = sizeof(told->ip) + sizeof(told->icmp) + quoted, at = OUTER_HEAD + ETH_HLEN;

	write_ip(&told->ip, bytes, IPPROTO_ICMP, from, packet->head.ip.saddr);
	told->icmp.checksum = 0;
	told->icmp.checksum = icmp_sum(told, quoted);
	if (!make_answer_room(hull, packet, bytes))
		return false;
	return quoted == QUOTED_LONG ? !store_bytes(hull, at, told, sizeof(*told)) :
				       !store_bytes(hull, at, told, sizeof(*told) - QUOTED_LONG + QUOTED_SHORT);
}

/* An ICMP error about the packet as its sender sent it. */
__noinline int tell_sender(hull_t *hull, __u32 type_and_code, __u32 mtu)
{
	const __u32 only = 0;
	struct told *told = bpf_map_lookup_elem(&scratch_told, &only);
	struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 quoted;
	enum verdict verdict;

	if (!told || !course || !packet)
		return DROP_NOT_CONFIGURED;
	if (segment_of(hull))                 /* what is sent again comes alone */
		return DROP_TOO_BIG;
	quoted = quotable(packet);
	if (quoted == QUOTED_LONG ? load_bytes(hull, inner_ip(packet), told->quoted, QUOTED_LONG) :
				    load_bytes(hull, inner_ip(packet), told->quoted, QUOTED_SHORT))
		return DROP_TRUNCATED;
	packet->icmp_type = type_and_code >> 8;
	packet->icmp_code = type_and_code;
	if ((verdict = turn_back_to_sender(hull, packet, course, course->exit.primary.word[3], IPPROTO_ICMP)))
		return verdict;
	told->icmp = (struct icmp_header){ .type = type_and_code >> 8, .code = type_and_code, .mtu = bpf_htons(mtu) };
	if (!write_told(hull, packet, told, quoted, course->exit.primary.word[3]))
		return DROP_TRANSLATION;
	return send_answer(hull, packet, sizeof(told->ip) + sizeof(told->icmp) + quoted);
}

/* RFC 9293, 3.10.7.1: what answers a segment of a connection that is not there. */
static __always_inline void turn_segment(struct segment *now, const struct segment *old, const struct packet *packet, __u32 payload)
{
	bool acknowledges = packet->tcp_flags & TCP_ACK;
	__u32 length = payload + !!(packet->tcp_flags & TCP_SYN) + !!(packet->tcp_flags & TCP_FIN);
	__u32 flags = acknowledges ? TCP_RST : TCP_RST | TCP_ACK;

	now->sequence = acknowledges ? old->acknowledged : 0;
	now->acknowledged = acknowledges ? 0 : bpf_htonl(bpf_ntohl(old->sequence) + length);
	now->flags_and_window = (old->flags_and_window & bpf_htonl(0xf000ffff)) | bpf_htonl(flags << 16);
}

/* What it carried and its options stay: a reset may carry data (RFC 1122, 4.2.2.12), and no sum but of what changes is needed. Ports
 * and addresses change places, which no sum sees. */
static __always_inline bool write_segment(hull_t *hull, __u32 at, const struct packet *packet, __u32 payload)
{
	const __u32 fields = at + 4;
	struct segment old, now;
	__be32 ports;

	if (load_bytes(hull, at, &ports, sizeof(ports)) || load_bytes(hull, fields, &old, sizeof(old)))
		return false;
	turn_segment(&now, &old, packet, payload);
	ports = ports << 16 | ports >> 16;
	return mend_covered(hull, at + TCP_CHECKSUM, bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&now, sizeof(now), 0), false) &&
	       !store_bytes(hull, at, &ports, sizeof(ports)) && !store_bytes(hull, fields, &now, sizeof(now));
}

/* That it happened, of real traffic, too: nobody else would know why a connection ended. The packet is on its way; from now on it stands
 * for the flow. */
static __noinline void tell_reset(struct packet *packet, const struct course *course)
{
	packet->source = course->key.source;
	packet->destination = course->key.destination;
	packet->source_port = course->key.source_port;
	packet->destination_port = course->key.destination_port;
	sample(packet, STEP_RESET, ANSWERED, !!(course->flags & CHAIN_TARGET_GONE));
}

/* In the name of whom the sender believed at the other end. Of a super-packet nothing is said: what is sent again comes alone. */
__noinline int reset_sender(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 payload, bytes;
	enum verdict verdict;
	struct iphdr ip;

	if (!course || !packet || packet->tcp_flags & TCP_RST || segment_of(hull))
		return DROP_NO_FLOW;
	ip = packet->head.ip;
	bytes = bpf_ntohs(ip.tot_len);
	payload = bytes - packet->headers;
	if ((verdict = turn_back_to_sender(hull, packet, course, ip.daddr, IPPROTO_TCP)))
		return verdict;
	if (!write_segment(hull, inner_transport(packet), packet, payload) || !write_tail(hull, packet, &ip, TTL_OF_ANSWERS))
		return DROP_TRANSLATION;
	tell(packet, STEP_RESET, CONTINUE, !!(course->flags & CHAIN_TARGET_GONE));
	verdict = send_answer(hull, packet, bytes);
	if (verdict == ANSWERED && !packet->what_if)
		tell_reset(packet, course);
	return verdict;
}

#endif
