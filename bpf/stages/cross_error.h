/* SPDX-License-Identifier: GPL-2.0-only */
/* What does an ICMP error say in the other family, and of which packet? It is made anew, with as much of the quoted packet as tells its flow: a
 * tunnel's packet loses bytes in front only. */
#ifndef ROOKERY_CROSS_ERROR_H
#define ROOKERY_CROSS_ERROR_H

#include "stages/answer_back_ipv6.h"
#include "stages/icmp_across.h"

enum cross_error_constant {
	CONTENT_LONG = 88,                 /* of the quoted packet, behind its IP header: TCP's whole header with options, and more */
	CONTENT_SHORT = 8,                 /* RFC 792 */
};

struct error_ipv4 {
	struct iphdr ip;
	struct icmp_header icmp;
	struct iphdr quoted;
	__u8 content[CONTENT_LONG];
};

struct error_ipv6 {
	struct ipv6_header ip;
	struct icmpv6_too_big icmp;
	struct ipv6_header quoted;
	__u8 content[CONTENT_LONG];
};

/* What no stack has room for. */
struct crossing {
	union {
		struct error_ipv4 ipv4;
		struct error_ipv6 ipv6;
		__u8 byte[512];
	};
	__u8 content[CONTENT_LONG];        /* as it was quoted, and then as it is */
	__u32 long_content;
	__u32 quoted_bytes;                /* of the quoted packet, behind its IP header, as that says */
	__u32 quoted_whole;                /* ... and with it */
	__u8 quoted_class;
	__u8 quoted_hops;
	__u8 quoted_protocol;              /* of either family's ICMP: IPv4's */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crossing);
} scratch_crossing SEC(".maps");

static __always_inline struct crossing *this_crossing(void)
{
	const __u32 only = 0;

	return bpf_map_lookup_elem(&scratch_crossing, &only);
}

struct echo {
	__be32 type_and_code;              /* as the message's first word, without its checksum */
	__be32 identifier;
};

/* Of addresses alone, as TCP's and UDP's checksums see them: what pseudo headers say besides sums up alike in both families (RFC 8200, 8.1), and
 * the ffff that marks IPv4 adds nothing to such a sum. Whoever is the source: a sum does not know. */
static __always_inline __u32 difference_of_ends(const struct course *course)
{
	return bpf_csum_diff((__be32 *)&course->key.source, 2 * sizeof(struct address),
			     (__be32 *)&course->directive.source, 2 * sizeof(struct address), 0);
}

/* IPv6's ICMP has a pseudo header in its sum, IPv4's has none. `bytes`: of the message. */
static __always_inline __u32 echo_difference(const struct course *course, const struct echo *before, const struct echo *now, __u32 bytes)
{
	__be32 pseudo[2] = { bpf_htonl(bytes), bpf_htonl(IPPROTO_ICMPV6) };
	__u32 difference = bpf_csum_diff((__be32 *)before, sizeof(*before), (__be32 *)now, sizeof(*now), 0);

	if (is_ipv4(&course->directive.source)) {
		difference = bpf_csum_diff((__be32 *)&course->key.source, 2 * sizeof(struct address), 0, 0, difference);
		return bpf_csum_diff(pseudo, sizeof(pseudo), 0, 0, difference);
	}
	difference = bpf_csum_diff(0, 0, (__be32 *)&course->directive.source, 2 * sizeof(struct address), difference);
	return bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), difference);
}

static __always_inline void tell_crossed(const struct packet *packet, const struct course *course)
{
	tell(packet, STEP_FAMILY_TRANSLATED, CONTINUE, course->directive.interface);
}

/* Where its transport begins; 0: it is none. */
static __always_inline __u32 read_quoted_front(hull_t *hull, const struct packet *packet, struct crossing *made)
{
	__u32 at = inner_ip(packet) + packet->headers;
	struct ipv6_header ipv6;
	struct iphdr ip;

	if (came_as_ipv6(packet)) {
		if (load_bytes(hull, at, &ipv6, sizeof(ipv6)))
			return 0;
		made->quoted_bytes = bpf_ntohs(ipv6.payload);
		made->quoted_class = bpf_ntohl(ipv6.version_class_flow) >> 20;
		made->quoted_hops = ipv6.hop_limit;
		made->quoted_protocol = ipv6.next == IPPROTO_ICMPV6 ? IPPROTO_ICMP : ipv6.next;
		return at + sizeof(ipv6);
	}
	if (load_bytes(hull, at, &ip, sizeof(ip)) || ip.ihl < 5 || bpf_ntohs(ip.tot_len) < ip.ihl * 4)
		return 0;
	made->quoted_whole = bpf_ntohs(ip.tot_len);
	made->quoted_bytes = made->quoted_whole - ip.ihl * 4;
	made->quoted_class = ip.tos;
	made->quoted_hops = ip.ttl;
	made->quoted_protocol = ip.protocol;
	return at + ip.ihl * 4;
}

/* As many bytes as are there, of two numbers: checksums are computed over a known length. */
static __always_inline bool read_content(hull_t *hull, struct crossing *made, __u32 at)
{
	made->long_content = !load_bytes(hull, at, made->content, CONTENT_LONG);
	return made->long_content || !load_bytes(hull, at, made->content, CONTENT_SHORT);
}

static __always_inline void mend_content(struct crossing *made, __u32 place, __u32 difference)
{
	__u16 *sum = (__u16 *)(made->content + place);
	bool udp = made->quoted_protocol == IPPROTO_UDP;

	if (!udp || *sum)
		*sum = udp ? mend_udp(*sum, difference) : mend(*sum, difference);
}

/* The quoted packet went the other way: its source is the directive's destination. */
static __always_inline void turn_content_ports(const struct course *course, struct crossing *made)
{
	__be32 *ports = (__be32 *)made->content, before = *ports;
	const struct directive *directive = &course->directive;
	__u32 difference = difference_of_ends(course);

	*ports = ports_word(directive->destination_port, directive->source_port);
	difference = word_difference(before, *ports, difference);
	if (made->quoted_protocol == IPPROTO_UDP)
		mend_content(made, UDP_CHECKSUM, difference);
	else if (made->long_content)
		mend_content(made, TCP_CHECKSUM, difference);
}

static __always_inline void turn_content_echo(const struct course *course, struct crossing *made)
{
	struct icmp_header *icmp = (struct icmp_header *)made->content;
	const struct directive *directive = &course->directive;
	bool to_ipv6 = !is_ipv4(&directive->source), asked = icmp->type == (to_ipv6 ? ICMP_ECHO : ICMPV6_ECHO);
	struct echo before = { bpf_htonl((__u32)icmp->type << 24 | (__u32)icmp->code << 16), icmp->identifier }, now;

	icmp->type = echo_type(asked, to_ipv6);
	icmp->identifier = asked ? directive->destination_port : directive->source_port;
	now = (struct echo){ bpf_htonl((__u32)icmp->type << 24 | (__u32)icmp->code << 16), icmp->identifier };
	mend_content(made, ICMP_CHECKSUM, echo_difference(course, &before, &now, made->quoted_bytes));
}

__noinline int read_quoted(hull_t *hull)
{
	struct crossing *made = this_crossing();
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	__u32 at;

	if (!made || !course || !packet)
		return DROP_TRANSLATION;
	at = read_quoted_front(hull, packet, made);
	if (!at || !read_content(hull, made, at))
		return DROP_TRUNCATED;
	if (made->quoted_protocol == IPPROTO_ICMP)
		turn_content_echo(course, made);
	else
		turn_content_ports(course, made);
	return CONTINUE;
}

static __always_inline __u32 content_bytes(const struct crossing *made)
{
	return made->long_content ? CONTENT_LONG : CONTENT_SHORT;
}

static __always_inline void put_quoted_ipv4(struct crossing *made, const struct directive *directive)
{
	struct iphdr *ip = &made->ipv4.quoted;

	write_ip(ip, made->quoted_bytes + sizeof(*ip), made->quoted_protocol, directive->destination.word[3], directive->source.word[3]);
	ip->tos = made->quoted_class;
	ip->ttl = made->quoted_hops;
	ip->check = 0;
	ip->check = internet_checksum(ip, sizeof(*ip), 0);
	__builtin_memcpy(made->ipv4.content, made->content, CONTENT_LONG);
}

static __always_inline __u32 sum_of_words(const void *from, __u32 bytes)
{
	return bpf_csum_diff(0, 0, (__be32 *)from, bytes, 0);
}

__noinline int write_error_ipv4(hull_t *hull, __u8 hops, __u8 class)
{
	struct crossing *made = this_crossing();
	const struct course *course = this_course();
	struct packet *packet = this_packet();
	const __u32 whole = sizeof(made->ipv4) - sizeof(struct iphdr), little = whole - CONTENT_LONG + CONTENT_SHORT;
	__u32 bytes;

	if (!made || !course || !packet)
		return DROP_TRANSLATION;
	put_quoted_ipv4(made, &course->directive);
	bytes = made->long_content ? whole : little;
	write_ip(&made->ipv4.ip, bytes + sizeof(struct iphdr), IPPROTO_ICMP, packet->source.word[3], packet->destination.word[3]);
	made->ipv4.ip.ttl = hops;
	made->ipv4.ip.tos = class;
	made->ipv4.ip.check = 0;
	made->ipv4.ip.check = internet_checksum(&made->ipv4.ip, sizeof(struct iphdr), 0);
	made->ipv4.icmp = (struct icmp_header){ .type = packet->icmp_type, .code = packet->icmp_code };
	*(__be32 *)&made->ipv4.icmp.identifier = bpf_htonl(course->crossed_rest);
	made->ipv4.icmp.checksum = fold(made->long_content ? sum_of_words(&made->ipv4.icmp, whole) : sum_of_words(&made->ipv4.icmp, little));
	if (!make_answer_room(hull, packet, bytes + sizeof(struct iphdr)))
		return DROP_TRANSLATION;
	packet->head.frame.h_proto = bpf_htons(ETH_P_IP);
	if (made->long_content)
		return store_bytes(hull, OUTER_HEAD + ETH_HLEN, &made->ipv4, whole + sizeof(struct iphdr)) ? DROP_TRANSLATION : CONTINUE;
	return store_bytes(hull, OUTER_HEAD + ETH_HLEN, &made->ipv4, little + sizeof(struct iphdr)) ? DROP_TRANSLATION : CONTINUE;
}

static __always_inline void put_quoted_ipv6(struct crossing *made, const struct directive *directive)
{
	struct ipv6_header *ip = &made->ipv6.quoted;

	ip->version_class_flow = bpf_htonl((__u32)IPV6_VERSION << 28 | (__u32)made->quoted_class << 20);
	ip->payload = bpf_htons(made->quoted_bytes);
	ip->next = made->quoted_protocol == IPPROTO_ICMP ? IPPROTO_ICMPV6 : made->quoted_protocol;
	ip->hop_limit = made->quoted_hops;
	ip->source = directive->destination;
	ip->destination = directive->source;
	__builtin_memcpy(made->ipv6.content, made->content, CONTENT_LONG);
}

__noinline int write_error_ipv6(hull_t *hull, __u8 hops, __u8 class)
{
	struct crossing *made = this_crossing();
	const struct course *course = this_course();
	struct packet *packet = this_packet();
	const __u32 whole = sizeof(made->ipv6) - sizeof(struct ipv6_header), little = whole - CONTENT_LONG + CONTENT_SHORT;
	__u32 bytes;

	if (!made || !course || !packet)
		return DROP_TRANSLATION;
	put_quoted_ipv6(made, &course->directive);
	bytes = made->long_content ? whole : little;
	begin_icmpv6(&made->ipv6.ip, bytes, hops);
	made->ipv6.ip.version_class_flow |= bpf_htonl((__u32)class << 20);
	made->ipv6.ip.source = packet->source;
	made->ipv6.ip.destination = packet->destination;
	made->ipv6.icmp = (struct icmpv6_too_big){ .type = packet->icmp_type, .code = packet->icmp_code, .mtu = bpf_htonl(course->crossed_rest) };
	made->ipv6.icmp.checksum = fold(made->long_content ? icmpv6_sum(&made->ipv6.ip, &made->ipv6.icmp, whole, whole) :
							     icmpv6_sum(&made->ipv6.ip, &made->ipv6.icmp, little, little));
	if (!make_answer_room(hull, packet, bytes + sizeof(struct ipv6_header)))
		return DROP_TRANSLATION;
	packet->head.frame.h_proto = bpf_htons(ETH_P_IPV6);
	if (made->long_content)
		return store_bytes(hull, OUTER_HEAD + ETH_HLEN, &made->ipv6, whole + sizeof(struct ipv6_header)) ? DROP_TRANSLATION : CONTINUE;
	return store_bytes(hull, OUTER_HEAD + ETH_HLEN, &made->ipv6, little + sizeof(struct ipv6_header)) ? DROP_TRANSLATION : CONTINUE;
}

/* Towards IPv6 a NAT's prefix gives whoever sent it, a router on the way perhaps, an address of that family. Else the attachment has the only one. */
static __always_inline bool readdress_error(struct packet *packet, struct course *course, const struct crossing *made)
{
	const struct icmp_header *icmp = &packet->head.transport.icmp;
	struct icmp_error error = { packet->icmp_type, packet->icmp_code, (__u32)bpf_ntohs(icmp->identifier) << 16 | bpf_ntohs(icmp->mtu) };
	bool to_ipv6 = !is_ipv4(&course->directive.source);

	if (to_ipv6 ? !error_to_ipv6(&error, made->quoted_whole) : !error_to_ipv4(&error))
		return false;
	packet->source = to_ipv6 && is_at_nat(course) ? nat64_address(packet->source.word[3]) : course->directive.source;
	packet->destination = course->directive.destination;
	packet->protocol = to_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	packet->icmp_type = error.type;
	packet->icmp_code = error.code;
	course->crossed_rest = error.rest;
	return true;
}

static __always_inline __u32 front_of_error(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 ? 2 * sizeof(struct ipv6_header) + sizeof(struct icmp_header) :
						    2 * sizeof(struct iphdr) + sizeof(struct icmp_header);
}

static __always_inline void size_error(struct packet *packet, const struct crossing *made)
{
	packet->largest = front_of_error(packet) + content_bytes(made);
	packet->length = ETH_HLEN + packet->largest;
}

__noinline int cross_error(hull_t *hull)
{
	struct crossing *made = this_crossing();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	enum verdict verdict;
	__u8 hops, class;

	if (!made || !course || !packet)
		return DROP_NOT_CONFIGURED;
	if ((verdict = read_quoted(hull)))
		return verdict;
	hops = hops_left(packet) - 1;
	class = came_as_ipv6(packet) ? bpf_ntohl(packet->head.ipv6.version_class_flow) >> 20 : packet->head.ip.tos;
	if (!readdress_error(packet, course, made))
		return DROP_PROTOCOL;
	tell_crossed(packet, course);
	if ((verdict = find_way(hull)))
		return verdict;
	if (packet->protocol == IPPROTO_ICMPV6)
		verdict = write_error_ipv6(hull, hops, class);
	else
		verdict = write_error_ipv4(hull, hops, class);
	if (verdict)
		return verdict;
	size_error(packet, made);
	return leave_cell(hull);
}

#endif
