/* SPDX-License-Identifier: GPL-2.0-only */
/* How do a directive's addresses and ports get into the packet? Checksums follow by the change alone. */
#ifndef ROOKERY_REWRITE_H
#define ROOKERY_REWRITE_H

#include "stages/checksum.h"
#include "stages/parse.h"
#include "stages/key.h"

enum rewrite_constant {
	TCP_OPTIONS_MAX = 40,
	TCP_OPTION_END = 0,
	TCP_OPTION_NOTHING = 1,
	TCP_OPTION_MSS = 2,
	ICMP_CHECKSUM = offsetof(struct icmp_header, checksum),
};

/* From `ttl` on, as the header's checksum sees it. */
struct ipv4_tail {
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 source;
	__be32 destination;
};

static __always_inline __u32 inner_ip(const struct packet *packet)
{
	return packet->offset + ETH_HLEN;
}

static __always_inline __u32 inner_transport(const struct packet *packet)
{
	return inner_ip(packet) + packet->head.ip.ihl * 4;
}

/* Of either family. */
static __always_inline __u32 transport_place(const struct packet *packet)
{
	return inner_ip(packet) + ip_bytes(packet);
}

static __always_inline __u32 address_difference(const struct packet *packet, const struct iphdr *ip)
{
	return word_difference(ip->daddr, packet->destination.word[3], word_difference(ip->saddr, packet->source.word[3], 0));
}

static __always_inline __be32 hops_word(const struct iphdr *ip, __u8 ttl)
{
	return bpf_htons((__u16)ttl << 8 | ip->protocol);
}

static __always_inline bool write_tail(hull_t *hull, const struct packet *packet, const struct iphdr *ip, __u8 ttl)
{
	struct ipv4_tail now = { ttl, ip->protocol, 0, packet->source.word[3], packet->destination.word[3] };

	now.check = mend(ip->check, word_difference(hops_word(ip, ip->ttl), hops_word(ip, ttl), address_difference(packet, ip)));
	return store_words(hull, inner_ip(packet) + offsetof(struct iphdr, ttl), &now, sizeof(now));
}

static __always_inline bool mend_addresses(hull_t *hull, const struct packet *packet, const struct iphdr *ip)
{
	return mend_transport(hull, packet->protocol, inner_transport(packet), address_difference(packet, ip));
}

static __always_inline __be32 ports_word(__be16 source, __be16 destination)
{
	return bpf_htonl((__u32)bpf_ntohs(source) << 16 | bpf_ntohs(destination));
}

static __always_inline bool write_ports(hull_t *hull, const struct packet *packet, __u32 at)
{
	__u32 place = at + checksum_place(packet->protocol);
	__be32 before = ports_word(packet->head.transport.port.source, packet->head.transport.port.destination);
	__be32 now = ports_word(packet->source_port, packet->destination_port);

	if (before == now)
		return true;
	return mend_covered(hull, place, word_difference(before, now, 0), packet->protocol == IPPROTO_UDP) &&
	       store_words(hull, at, &now, sizeof(now));
}

static __always_inline bool write_identifier(hull_t *hull, const struct packet *packet, __be16 now)
{
	__u32 at = inner_transport(packet);
	__be16 before = packet->head.transport.icmp.identifier;

	return mend_word(hull, at + ICMP_CHECKSUM, before, now) &&
	       !store_bytes(hull, at + offsetof(struct icmp_header, identifier), &now, sizeof(now));
}

static __always_inline bool write_transport(hull_t *hull, const struct packet *packet, const struct directive *directive,
					    const struct iphdr *ip)
{
	if (packet->fragment == FRAGMENT_LATER)
		return true;
	if (packet->protocol == IPPROTO_ICMP)
		return write_identifier(hull, packet, is_echo_request(packet->protocol, packet->icmp_type) ?
				directive->source_port : directive->destination_port);
	return mend_addresses(hull, packet, ip) && write_ports(hull, packet, inner_transport(packet));
}

struct quoted {
	struct iphdr ip;
	__be32 word[2];                    /* ports; of an echo, identifier in the second one */
};

static __always_inline void turn_quoted(struct quoted *quoted, const struct directive *directive)
{
	bool asked = (bpf_ntohl(quoted->word[0]) >> 24) == ICMP_ECHO;
	__be16 identifier = asked ? directive->destination_port : directive->source_port;

	quoted->ip.saddr = directive->destination.word[3];
	quoted->ip.daddr = directive->source.word[3];
	if (quoted->ip.protocol == IPPROTO_ICMP)
		quoted->word[1] = bpf_htonl((__u32)bpf_ntohs(identifier) << 16 | (bpf_ntohl(quoted->word[1]) & 0xffff));
	else
		quoted->word[0] = bpf_htonl((__u32)bpf_ntohs(directive->destination_port) << 16 | bpf_ntohs(directive->source_port));
}

/* The quoted checksum is mended where it is quoted at all; what changes of the quote, the error's own checksum follows. */
static __always_inline bool mend_quoted_checksum(hull_t *hull, const struct packet *packet, const struct quoted *before,
						 const struct quoted *now, __u32 at, __u32 *difference)
{
	__be32 old[4] = { before->ip.saddr, before->ip.daddr, before->word[0], before->word[1] };
	__be32 new[4] = { now->ip.saddr, now->ip.daddr, now->word[0], now->word[1] };
	bool echo = before->ip.protocol == IPPROTO_ICMP;
	__u32 place = at + (echo ? ICMP_CHECKSUM : checksum_place(before->ip.protocol));
	__be32 was = 0, is = 0;
	__u16 sum;

	if (place + 2 > inner_ip(packet) + bpf_ntohs(packet->head.ip.tot_len) || load_bytes(hull, place, &sum, sizeof(sum)))
		return true;
	if (before->ip.protocol == IPPROTO_UDP && !sum)
		return true;
	was = sum;
	if (echo)
		is = mend(sum, bpf_csum_diff(old + 2, 8, new + 2, 8, 0));
	else
		is = mend(sum, bpf_csum_diff(old, 12, new, 12, 0));
	if (before->ip.protocol == IPPROTO_UDP && !is)
		is = 0xffff;
	*difference = bpf_csum_diff(&was, sizeof(was), &is, sizeof(is), *difference);
	sum = is;
	return !store_bytes(hull, place, &sum, sizeof(sum));
}

/* The packet that an error quotes, as its sender knows it. */
__noinline int rewrite_quoted(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	struct quoted before = {}, now;
	__u32 at, transport, difference;

	if (!course || !packet)
		return DROP_TRANSLATION;
	at = inner_ip(packet) + packet->headers;
	if (load_bytes(hull, at, &before.ip, sizeof(before.ip)) || before.ip.ihl < 5)
		return DROP_TRANSLATION;
	transport = at + before.ip.ihl * 4;
	if (load_bytes(hull, transport, before.word, sizeof(before.word)))
		return DROP_TRANSLATION;
	now = before;
	turn_quoted(&now, &course->directive);
	difference = bpf_csum_diff(&before.ip.saddr, 8, &now.ip.saddr, 8, 0);
	now.ip.check = mend(before.ip.check, difference);
	/* A header with its own checksum sums up to the same as before. */
	difference = bpf_csum_diff(before.word, 8, now.word, 8, 0);
	if (store_bytes(hull, at, &now.ip, sizeof(now.ip)) || store_bytes(hull, transport, now.word, sizeof(now.word)))
		return DROP_TRANSLATION;
	if (!mend_quoted_checksum(hull, packet, &before, &now, transport, &difference))
		return DROP_TRANSLATION;
	return mend_covered(hull, inner_transport(packet) + ICMP_CHECKSUM, difference, false) ? CONTINUE : DROP_TRANSLATION;
}

/* Where TCP's option of this kind has its value, with so many bytes at least; 0: there is none. */
static __always_inline __u32 find_option(hull_t *hull, __u32 at, __u32 end, __u8 kind, __u32 bytes)
{
	__u8 option[2];

	for (__u32 i = 0; i < TCP_OPTIONS_MAX && at + 4 <= end; i++) {
		if (load_bytes(hull, at, option, sizeof(option)) || option[0] == TCP_OPTION_END)
			return 0;
		if (option[0] == kind)
			return option[1] >= bytes + 2 && at + option[1] <= end ? at + 2 : 0;
		if (option[0] != TCP_OPTION_NOTHING && option[1] < 2)
			return 0;
		at += option[0] == TCP_OPTION_NOTHING ? 1 : option[1];
	}
	return 0;
}

/* Of a handshake: no larger segments than the cell takes, in either family. At an odd place a checksum counts the bytes the other way round. */
__noinline int clamp_mss(hull_t *hull, __u32 largest)
{
	const struct packet *packet = this_packet();
	__u32 tcp, at;
	__be16 named, now = bpf_htons(largest);

	if (!packet || packet->protocol != IPPROTO_TCP || !(packet->tcp_flags & TCP_SYN))
		return CONTINUE;
	tcp = transport_place(packet);
	at = find_option(hull, tcp + TCP_HEADER, inner_ip(packet) + packet->headers, TCP_OPTION_MSS, sizeof(named));
	if (!at || load_bytes(hull, at, &named, sizeof(named)) || bpf_ntohs(named) <= largest)
		return CONTINUE;
	if (store_bytes(hull, at, &now, sizeof(now)))
		return DROP_TRANSLATION;
	if ((at - tcp) & 1) {
		named = named << 8 | named >> 8;
		now = now << 8 | now >> 8;
	}
	return mend_word(hull, tcp + TCP_CHECKSUM, named, now) ? CONTINUE : DROP_TRANSLATION;
}

/* Of what carries ports, and is whole. */
static __always_inline bool rewrite_ends(hull_t *hull, const struct packet *packet)
{
	struct iphdr ip = packet->head.ip;

	return mend_addresses(hull, packet, &ip) && write_ports(hull, packet, inner_transport(packet)) && write_tail(hull, packet, &ip, ip.ttl - 1);
}

/* `packet` says already what is to be in it; its head, what still is. */
__noinline int rewrite(hull_t *hull)
{
	const struct course *course = this_course();
	struct packet *packet = this_packet();
	struct iphdr ip;

	if (!course || !packet)
		return DROP_TRANSLATION;
	ip = packet->head.ip;
	if (quotes(packet)) {
		if (rewrite_quoted(hull))
			return DROP_TRANSLATION;
	} else if (!write_transport(hull, packet, &course->directive, &ip)) {
		return DROP_TRANSLATION;
	}
	return write_tail(hull, packet, &ip, ip.ttl - 1) ? CONTINUE : DROP_TRANSLATION;
}

#endif
