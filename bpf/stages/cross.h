/* SPDX-License-Identifier: GPL-2.0-only */
/* How does a packet look in the other family? (RFC 7915.) What stands in front of its transport is written anew; checksums follow by the
 * difference, and one that IPv4 left out is made. What it quotes: cross_error.h. */
#ifndef ROOKERY_CROSS_H
#define ROOKERY_CROSS_H

#include "hull/cut.h"
#include "stages/cross_error.h"
#include "stages/proxy_stream.h"
#include "stages/say.h"

enum cross_constant {
	IPV4_MAY_CUT = 1260,               /* RFC 7915, 5.1: what is no larger needs no don't-fragment, for IPv6 carries 1,280 */
	SUMMED_AT_ONCE = 512,              /* Linux 6.1 sums no more in one call */
	SUMMED_PIECES = 18,                /* a cell takes no packet that has more */
};

struct ipv6_front {
	struct ipv6_header ip;
	struct ipv6_extension fragment;
};

/* No half of a super-packet can be told from the other family's: it is cut first, and comes again in pieces. */
static __always_inline enum verdict cut_first(hull_t *hull, struct packet *packet, struct course *course)
{
	const struct substrate_config *config = find_substrate();

	if (!config)
		return DROP_NOT_CONFIGURED;
	course->arrived = 0;               /* counted when it comes again */
	return cut_by_kernel(hull, packet, config);
}

static __always_inline __u8 icmp_of(const struct address *address)
{
	return is_ipv4(address) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

/* As it will be, for the stages that ask whether it may leave. */
static __always_inline void readdress_across(struct packet *packet, const struct course *course, __s32 larger)
{
	const struct directive *directive = &course->directive;
	bool to_ipv6 = !is_ipv4(&directive->source);

	if (carries_ports(packet)) {
		packet->source_port = directive->source_port;
		packet->destination_port = directive->destination_port;
	} else {
		packet->icmp_type = echo_type(is_echo_request(packet->protocol, packet->icmp_type), to_ipv6);
		packet->source_port = packet->icmp_type == ICMP_ECHO || packet->icmp_type == ICMPV6_ECHO ? directive->source_port :
													   directive->destination_port;
		packet->protocol = icmp_of(&directive->source);
	}
	packet->source = directive->source;
	packet->destination = directive->destination;
	packet->largest += larger;
	packet->length += larger;
}

/* What is in front of the transport is exchanged. */
static __always_inline bool exchange_front(hull_t *hull, struct packet *packet, __u32 before, const void *now, __u32 bytes)
{
	__s32 more = (__s32)(OUTER_HEAD + bytes) - (__s32)(packet->offset + before);

	if (!stretch(hull, more))
		return false;
	packet->offset = OUTER_HEAD;
	packet->headers += bytes - before;
	return !store_bytes(hull, OUTER_HEAD + ETH_HLEN, now, bytes);
}

/* A fragment's place; of a whole packet don't-fragment, where it is larger than what IPv6 carries anywhere. */
static __always_inline bool read_place_in_ipv6(hull_t *hull, const struct packet *packet, struct iphdr *ip)
{
	struct ipv6_extension extension;

	if (!packet->fragment) {
		bool may_cut = bpf_ntohs(ip->tot_len) <= IPV4_MAY_CUT;

		ip->frag_off = may_cut ? 0 : bpf_htons(IP_DONT_FRAGMENT);
		ip->id = may_cut ? bpf_get_prandom_u32() : 0;
		return true;
	}
	if (load_bytes(hull, inner_ip(packet) + sizeof(struct ipv6_header), &extension, sizeof(extension)))
		return false;
	ip->id = bpf_htons(bpf_ntohl(extension.identification));
	ip->frag_off = bpf_htons(bpf_ntohs(extension.fragment) >> 3);
	if (extension.fragment & bpf_htons(IPV6_MORE_FRAGMENTS))
		ip->frag_off |= bpf_htons(IP_MORE_FRAGMENTS);
	return true;
}

/* Not static: the verifier looks at them once. */
__noinline int front_to_ipv4(hull_t *hull, __u32 before)
{
	struct packet *packet = this_packet();
	struct iphdr ip = {};

	if (!packet)
		return DROP_TRANSLATION;
	ip.version = 4;
	ip.ihl = sizeof(ip) / 4;
	ip.tos = bpf_ntohl(packet->head.ipv6.version_class_flow) >> 20;
	ip.tot_len = bpf_htons(bytes_behind(packet, before) + sizeof(ip));
	ip.ttl = packet->head.ipv6.hop_limit - 1;
	ip.protocol = packet->protocol;
	ip.saddr = packet->source.word[3];
	ip.daddr = packet->destination.word[3];
	if (!read_place_in_ipv6(hull, packet, &ip))
		return DROP_TRANSLATION;
	ip.check = internet_checksum(&ip, sizeof(ip), 0);
	if (!exchange_front(hull, packet, before, &ip, sizeof(ip)))
		return DROP_TRANSLATION;
	packet->head.ip = ip;
	packet->head.frame.h_proto = bpf_htons(ETH_P_IP);
	return CONTINUE;
}

static __always_inline void put_fragment(struct ipv6_front *front, const struct packet *packet, const struct iphdr *ip)
{
	__u16 place = bpf_ntohs(ip->frag_off);

	front->ip.next = IPPROTO_FRAGMENT;
	front->fragment.next = packet->protocol;
	front->fragment.fragment = bpf_htons((place & IP_FRAGMENT_OFFSET) << 3 | !!(place & IP_MORE_FRAGMENTS));
	front->fragment.identification = bpf_htonl(bpf_ntohs(ip->id));
}

__noinline int front_to_ipv6(hull_t *hull, __u32 before)
{
	struct packet *packet = this_packet();
	struct ipv6_front front = {};
	struct iphdr ip;
	__u32 payload;
	bool written;

	if (!packet)
		return DROP_TRANSLATION;
	ip = packet->head.ip;
	payload = bytes_behind(packet, before) + (packet->fragment ? sizeof(front.fragment) : 0);
	front.ip.version_class_flow = bpf_htonl((__u32)IPV6_VERSION << 28 | (__u32)ip.tos << 20);
	front.ip.payload = bpf_htons(payload);
	front.ip.next = packet->protocol;
	front.ip.hop_limit = ip.ttl - 1;
	front.ip.source = packet->source;
	front.ip.destination = packet->destination;
	if (packet->fragment) {
		put_fragment(&front, packet, &ip);
		written = exchange_front(hull, packet, before, &front, sizeof(front));
	} else {
		written = exchange_front(hull, packet, before, &front.ip, sizeof(front.ip));
	}
	packet->head.ipv6.payload = front.ip.payload;  /* its addresses' place is the transport's */
	packet->head.frame.h_proto = bpf_htons(ETH_P_IPV6);
	return written ? CONTINUE : DROP_TRANSLATION;
}

/* Nobody gave it a checksum, and IPv6 wants one: of all of it, piece by piece. Zeros at the end change no sum. */
__noinline int make_checksum(hull_t *hull, __u32 at, __u32 bytes)
{
	struct crossing *piece = this_crossing();
	const struct packet *packet = this_packet();
	__be32 pseudo[2] = { bpf_htonl(bytes), bpf_htonl(IPPROTO_UDP) };
	__u64 sum;
	__u16 checksum;

	if (!piece || !packet)
		return DROP_TRANSLATION;
	sum = (__u32)bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), 0);
	sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)&packet->source, 2 * sizeof(struct address), sum);
	for (__u32 i = 0; i < SUMMED_PIECES; i++) {
		__u32 done = i * SUMMED_AT_ONCE, last = bytes - done - 1;

		if (done >= bytes)
			break;
		if (last >= SUMMED_AT_ONCE)
			last = SUMMED_AT_ONCE - 1;
		__builtin_memset(piece->byte, 0, SUMMED_AT_ONCE);
		asm volatile("" : "+r"(last));
		if (last >= SUMMED_AT_ONCE || load_bytes(hull, at + done, piece->byte, last + 1))
			return DROP_TRANSLATION;
		sum = (__u32)bpf_csum_diff(0, 0, (__be32 *)piece->byte, SUMMED_AT_ONCE, sum);
	}
	checksum = fold(((__u32)sum & 0xffff) + ((__u32)sum >> 16));
	checksum = checksum ? checksum : 0xffff;
	return store_bytes(hull, at + UDP_CHECKSUM, &checksum, sizeof(checksum)) ? DROP_TRANSLATION : CONTINUE;
}

static __always_inline bool lacks_checksum(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP && packet->fragment != FRAGMENT_LATER &&
	       !*(const __u16 *)&packet->head.transport.byte[UDP_CHECKSUM];
}

static __always_inline bool cross_echo(hull_t *hull, const struct packet *packet, const struct course *course, __u32 at, __u32 bytes)
{
	const struct icmp_header *icmp = &packet->head.transport.icmp;
	struct echo before = { bpf_htonl((__u32)course->crossed_type << 24 | (__u32)icmp->code << 16), icmp->identifier };
	struct echo now = { bpf_htonl((__u32)packet->icmp_type << 24 | (__u32)icmp->code << 16), packet->source_port };
	__u32 difference = echo_difference(course, &before, &now, bytes);

	return mend_covered(hull, at + ICMP_CHECKSUM, difference, false) &&
	       !store_bytes(hull, at, &packet->icmp_type, sizeof(packet->icmp_type)) &&
	       !store_bytes(hull, at + offsetof(struct icmp_header, identifier), &packet->source_port, sizeof(packet->source_port));
}

/* Behind a front that is written: `bytes` of transport and payload. */
__noinline int cross_transport(hull_t *hull, __u32 bytes, bool sum_is_missing)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	__u32 at;

	if (!course || !packet)
		return DROP_TRANSLATION;
	if (packet->fragment == FRAGMENT_LATER)
		return CONTINUE;
	at = transport_place(packet);
	if (!carries_ports(packet))
		return cross_echo(hull, packet, course, at, bytes) ? CONTINUE : DROP_TRANSLATION;
	if (!mend_transport(hull, packet->protocol, at, difference_of_ends(course)) || !write_ports(hull, packet, at))
		return DROP_TRANSLATION;
	return sum_is_missing ? make_checksum(hull, at, bytes) : CONTINUE;
}

/* The packet itself, which quotes none. */
__noinline int cross_packet(hull_t *hull, __u32 before)
{
	const struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 bytes;
	int failed;
	bool missing;

	if (!course || !packet)
		return DROP_TRANSLATION;
	bytes = bytes_behind(packet, before);
	missing = lacks_checksum(packet);
	if (is_ipv4(&packet->source))
		failed = front_to_ipv4(hull, before);
	else
		failed = front_to_ipv6(hull, before);
	return failed ? failed : cross_transport(hull, bytes, missing && came_as_ipv6(packet));
}

/* The first fragment's checksum is all fragments', and nobody here sees them all (RFC 7915, 4.5). */
static __always_inline bool has_no_sum_to_give(const struct packet *packet)
{
	return packet->fragment == FRAGMENT_FIRST && !came_as_ipv6(packet) && lacks_checksum(packet);
}

static __always_inline __s32 larger_across(const struct packet *packet, __u32 before)
{
	if (came_as_ipv6(packet))
		return (__s32)sizeof(struct iphdr) - (__s32)before;
	return (__s32)(packet->fragment ? IPV6_WITH_FRAGMENT : sizeof(struct ipv6_header)) - (__s32)before;
}

/* As its sender counts it. */
static __always_inline enum verdict check_size_across(hull_t *hull, const struct packet *packet)
{
	__u32 largest = largest_allowed(packet), mtu = came_as_ipv6(packet) ? largest + LARGER_BY : largest - LARGER_BY;

	if (packet->largest <= largest)
		return CONTINUE;
	if (!packet->dont_fragment)
		return DROP_TOO_BIG;
	return say(hull, packet, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu, DROP_TOO_BIG);
}

/* Of a client: it is its target's family in which its stream is shifted. */
static __always_inline enum verdict shift_behind(hull_t *hull, const struct course *course)
{
	return course->directive.flags & DIRECTIVE_OUTWARD ? shift_stream(hull) : CONTINUE;
}

/* Behind enter_exit() and check_hops(): on its way in the other family. */
__noinline int cross(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;
	__u32 before;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (segment_of(hull))
		return cut_first(hull, packet, course);
	course->came.protocol = 0;         /* no shortcut: those know IPv4 */
	if (quotes(packet))
		return cross_error(hull);
	if (has_no_sum_to_give(packet))
		return DROP_CELL_FRAGMENT;
	before = ip_bytes(packet);
	course->crossed_type = packet->icmp_type;
	readdress_across(packet, course, larger_across(packet, before));
	tell_crossed(packet, course);
	if ((verdict = find_way(hull)))
		return verdict;
	if ((verdict = check_size_across(hull, packet)))
		return verdict;
	if ((verdict = cross_packet(hull, before)))
		return verdict;
	if ((verdict = clamp_mss(hull, CELL_NAT64_MSS)))
		return verdict;
	if ((verdict = shift_behind(hull, course)))
		return verdict;
	return leave_cell(hull);
}

#endif
