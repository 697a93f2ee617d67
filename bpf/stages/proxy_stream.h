/* SPDX-License-Identifier: GPL-2.0-only */
/* How does the proxy protocol's header get in front of a client's stream, when nobody ends the connection? The handshake makes room: the
 * client's first number is said to be lower by the header's length, so the header has its place before the client's own bytes, and those
 * keep theirs. (docs/decisions/0023)
 *
 *     client's numbers            ISN | ISN+1 ...                       the SYN | data
 *     target's numbers    ISN-100 | ISN-99 ... ISN | ISN+1 ...          the SYN | header | data
 */
#ifndef ROOKERY_PROXY_STREAM_H
#define ROOKERY_PROXY_STREAM_H

#include "stages/proxy_header.h"
#include "stages/sequence.h"

enum stream_constant {
	MILLISECOND = 1000000,             /* nanoseconds */
	HEADER_AGAIN = 20,                 /* milliseconds: a target that goes on asking is not answered at once each time */
	TCP_OPTION_SACK = 5,
	TCP_OPTION_TIMESTAMPS = 8,
	SACK_EDGES = 8,
	TIMESTAMPS_ONLY = TCP_HEADER + 12,
	TIMESTAMPS_WORD = 0x0101080a,      /* RFC 7323, appendix A */
	TCP_SEQUENCE = 4,                  /* where they are in the header */
	TCP_ACKNOWLEDGED = 8,
	TCP_PUSH = 0x08,
	DATA_PART = 512,                   /* summed in one call */
	DATA_PARTS = 3,
	NO_SUM = 1 << 16,
	TCP_HEADER_MASK = 0x3f,            /* holds all lengths of it */
};

/* On the heap of the run, as it is summed. */
struct data_part {
	__be32 word[DATA_PART / 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct data_part);
} scratch_data SEC(".maps");

struct timestamps {
	__be32 sent;
	__be32 echoed;
};

static __always_inline bool has_header(const struct course *course)
{
	return course->directive.flags & DIRECTIVE_PROXY_PROTOCOL;
}

/* The number of the client's first byte. */
static __always_inline __u32 stream_start(const struct directive *directive)
{
	return directive->initial_sequence + 1;
}

/* A number of the header's own bytes, and none of the client's. */
static __always_inline bool is_in_header(const struct directive *directive, __u32 number)
{
	return is_before(number, stream_start(directive)) && stream_start(directive) - number <= CELL_PROXY_HEADER;
}

/* What a client says of its stream proves nothing: it is a target's acknowledgement that ends the header's time. Trackers know of that
 * first. */
static __always_inline bool may_have_outgrown_header(const struct packet *packet, const struct directive *directive)
{
	const __u16 both = DIRECTIVE_PROXY_PROTOCOL | DIRECTIVE_OUTWARD;

	return packet->protocol == IPPROTO_TCP && (directive->flags & both) == both && !(packet->tcp_flags & TCP_SYN) &&
	       is_far_beyond(bpf_ntohl(sequence_of(packet)), stream_start(directive));
}

static __always_inline __u32 payload_of(const struct packet *packet)
{
	return bytes_behind(packet, packet->headers);
}

/* Without options and extension headers, as it is where it can carry the header. */
static __always_inline __u32 plain_ip_bytes(const struct packet *packet)
{
	return came_as_ipv6(packet) ? sizeof(struct ipv6_header) : sizeof(struct iphdr);
}

static __always_inline struct cached_directive *cached_of(const struct course *course)
{
	return bpf_map_lookup_elem(&directives, &course->key);
}

/* Of TCP's header, at an even place. */
static __always_inline enum verdict write_number(hull_t *hull, __u32 tcp, __u32 place, __be32 before, __u32 number)
{
	__be32 now = bpf_htonl(number);

	if (!mend_covered(hull, tcp + TCP_CHECKSUM, word_difference(before, now, 0), false) ||
	    store_bytes(hull, tcp + place, &now, sizeof(now)))
		return DROP_TRANSLATION;
	return CONTINUE;
}

static __always_inline bool load_front(hull_t *hull, const struct packet *packet, struct proxied *proxied)
{
	if (came_as_ipv6(packet))
		return !load_bytes(hull, inner_ip(packet), &proxied->ipv6, sizeof(proxied->ipv6));
	return !load_bytes(hull, inner_ip(packet), &proxied->ip, sizeof(proxied->ip));
}

static __always_inline bool store_front(hull_t *hull, const struct packet *packet, const struct proxied *proxied)
{
	if (came_as_ipv6(packet))
		return !store_bytes(hull, inner_ip(packet), &proxied->ipv6, sizeof(proxied->ipv6));
	return !store_bytes(hull, inner_ip(packet), &proxied->ip, sizeof(proxied->ip));
}

/* Bytes of TCP's header, as many as they are: that there are some, and no more than lie in a `proxied`, the verifier sees by arithmetic
 * (in_place()). */
static __always_inline __u64 bounded(__u64 tcp)
{
	tcp -= TCP_HEADER;
	asm volatile("%0 &= %1" : "+r"(tcp) : "i"(TCP_HEADER_MASK));
	return tcp + TCP_HEADER;
}

static __always_inline bool load_segment(hull_t *hull, const struct packet *packet, __u32 tcp, struct proxied *proxied)
{
	__u32 at = inner_ip(packet) + plain_ip_bytes(packet);

	if (tcp < TCP_HEADER || !load_front(hull, packet, proxied))
		return false;
	return !load_bytes(hull, at, proxied->tcp.byte, bounded(tcp));
}

static __always_inline bool store_segment(hull_t *hull, const struct packet *packet, __u32 tcp, const struct proxied *proxied)
{
	__u32 at = inner_ip(packet) + plain_ip_bytes(packet);

	return store_front(hull, packet, proxied) && !store_bytes(hull, at, proxied->tcp.byte, bounded(tcp)) &&
	       !store_bytes(hull, at + tcp, &proxied->header, sizeof(proxied->header));
}

/* Of data that stands in a packet of the internet's size, from `at` on; more than 16 bits: it is not there. */
__noinline __u32 sum_data(hull_t *hull, __u32 at, __u32 bytes)
{
	const __u32 only = 0;
	struct data_part *part = bpf_map_lookup_elem(&scratch_data, &only);
	__s64 sum = 0;

	if (!part)
		return NO_SUM;
	for (__u32 i = 0; i < DATA_PARTS && i * DATA_PART < bytes; i++) {
		__u32 last = bytes - i * DATA_PART - 1;        /* as gather_head() has it */

		if (last >= DATA_PART)
			last = DATA_PART - 1;
		__builtin_memset(part, 0, sizeof(*part));
		asm volatile("" : "+r"(last));
		if (last >= DATA_PART || load_bytes(hull, at + i * DATA_PART, part, last + 1))
			return NO_SUM;
		sum = bpf_csum_diff(0, 0, part->word, sizeof(*part), sum);
	}
	return (__u16)~fold(((__u32)sum & 0xffff) + ((__u32)sum >> 16));
}

/* `sum`: what is to be covered beside TCP's header, or instead of it, and the header that it carries. */
static __always_inline __u16 segment_sum(struct proxied *proxied, __u32 sum, bool whole)
{
	if (whole)
		sum = bpf_csum_diff(0, 0, proxied->tcp.word, sizeof(proxied->tcp), sum);
	sum = bpf_csum_diff(0, 0, proxied->word, sizeof(proxied->word), sum);
	return fold((sum & 0xffff) + (sum >> 16));
}

static __always_inline void grow_front(struct proxied *proxied, bool ipv6)
{
	__be16 length = proxied->ip.tot_len;

	if (ipv6) {
		proxied->ipv6.payload = bpf_htons(bpf_ntohs(proxied->ipv6.payload) + CELL_PROXY_HEADER);
		return;
	}
	proxied->ip.tot_len = bpf_htons(bpf_ntohs(length) + CELL_PROXY_HEADER);
	proxied->ip.check = mend(proxied->ip.check, (__u16)~length + (__u32)proxied->ip.tot_len);
}

/* The pseudo header's length grows, too. A whole checksum follows by the change alone: what was damaged stays so. */
static __always_inline void put_header_in(struct proxied *proxied, const struct directive *directive, bool partial, __u32 data)
{
	__be32 before = proxied->tcp.word[TCP_SEQUENCE / 4], now = bpf_htonl(stream_start(directive) - CELL_PROXY_HEADER);
	__u16 sum = proxied->tcp.half[TCP_CHECKSUM / 2];
	__u32 longer = bpf_htons(CELL_PROXY_HEADER);

	proxied->tcp.word[TCP_SEQUENCE / 4] = now;
	proxied->tcp.half[TCP_CHECKSUM / 2] = 0;
	if (partial)
		sum = segment_sum(proxied, sum + longer + data, true);
	else
		sum = segment_sum(proxied, bpf_csum_diff(&before, sizeof(before), &now, sizeof(now), (__u16)~sum + longer), false);
	proxied->tcp.half[TCP_CHECKSUM / 2] = sum;
}

/* What stands in front of the inner packet is written anew, so the room that is made there serves behind its headers. */
__noinline int carry_header(hull_t *hull)
{
	struct proxied *proxied = blank_proxied();
	const struct course *course = this_course();
	struct packet *packet = this_packet();
	__u32 tcp, data = 0;
	enum verdict verdict;
	bool partial;

	if (!proxied || !course || !packet)
		return DROP_NOT_CONFIGURED;
	tcp = transport_bytes(packet);
	if (!load_segment(hull, packet, tcp, proxied))
		return DROP_TRUNCATED;
	partial = is_partial(hull, transport_place(packet) + TCP_CHECKSUM);
	if (partial && !has_room_for_mark(tcp))
		return CONTINUE;
	if (partial && (data = sum_data(hull, inner_ip(packet) + packet->headers, payload_of(packet))) == NO_SUM)
		return DROP_TRUNCATED;
	if ((verdict = make_header(partial ? tcp : 0, data)))
		return verdict;
	grow_front(proxied, came_as_ipv6(packet));
	put_header_in(proxied, &course->directive, partial, data);
	if (!stretch(hull, CELL_PROXY_HEADER) || !store_segment(hull, packet, tcp, proxied))
		return DROP_TRANSLATION;
	packet->length += CELL_PROXY_HEADER;
	packet->largest += CELL_PROXY_HEADER;
	tell(packet, STEP_HEADER_SENT, CONTINUE, stream_start(&course->directive));
	return CONTINUE;
}

/* A client that only listens says the same number for ever: what acknowledges more than the handshake carries nothing any more, for then
 * the target has spoken, and it only speaks once it has the header, or knows what it lacks. Data has the header in front where nothing
 * else has carried it yet. */
static __always_inline bool completes_handshake(const struct packet *packet, const struct course *course)
{
	struct cached_directive *row = cached_of(course);
	__be32 acknowledged = acknowledged_by(packet);

	if (!(packet->tcp_flags & TCP_ACK))
		return false;
	if (payload_of(packet))
		return !row || !row->acknowledged;
	if (row && !row->acknowledged && !packet->what_if)
		row->acknowledged = acknowledged;
	return !row || !row->acknowledged || row->acknowledged == acknowledged;
}

/* Alone, and together with it as small as every way takes. */
static __always_inline bool can_carry_header(const hull_t *hull, const struct packet *packet)
{
	return !segment_of(hull) && packet->largest + CELL_PROXY_HEADER <= INTERNET_MTU &&
	       ip_bytes(packet) == plain_ip_bytes(packet);
}

/* Nothing of the client's may get into the header's place: the target would believe it. Whoever asks whether the other end is still there
 * does so with the number before the first (RFC 9293, 3.8.4), and with a byte perhaps. A SYN has one number, whatever it says: who begins
 * anew is answered by a target that knows the old one, and resets that. */
static __always_inline enum verdict shift_request(hull_t *hull, const struct packet *packet, const struct course *course)
{
	const struct directive *directive = &course->directive;
	__u32 number = bpf_ntohl(sequence_of(packet)), before = directive->initial_sequence - CELL_PROXY_HEADER;
	bool syn = packet->tcp_flags & TCP_SYN;

	if (packet->tcp_flags & TCP_RST)
		return CONTINUE;
	if (syn ? !payload_of(packet) : number == directive->initial_sequence && payload_of(packet) <= 1)
		return write_number(hull, transport_place(packet), TCP_SEQUENCE, sequence_of(packet), before);
	if (syn || is_before(number, stream_start(directive)))
		return DROP_PROXY_PROTOCOL;
	if (number == stream_start(directive) && can_carry_header(hull, packet) && completes_handshake(packet, course))
		return carry_header(hull);
	return CONTINUE;
}

/* Numbers may be the header's once more when 2^32 are over: from here on they are only the client's. */
static __always_inline void outgrow_header(const struct packet *packet, const struct course *course)
{
	struct cached_directive *row = packet->what_if ? 0 : cached_of(course);

	if (!row)
		return;
	row->directive.flags &= ~DIRECTIVE_PROXY_PROTOCOL;
	row->told = 0;
}

/* The client does not know what the target has of the header (RFC 2883 tells it of what came twice). */
__noinline int shift_sack(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	__u32 tcp, end, at;
	__u8 bytes;

	if (!course || !packet)
		return DROP_TRANSLATION;
	tcp = transport_place(packet);
	at = find_option(hull, tcp + TCP_HEADER, inner_ip(packet) + packet->headers, TCP_OPTION_SACK, 2 * sizeof(__be32));
	if (!at || (at - tcp) & 1 || load_bytes(hull, at - 1, &bytes, sizeof(bytes)))
		return CONTINUE;
	end = at - 2 + bytes;
	for (__u32 i = 0; i < SACK_EDGES && at + sizeof(__be32) <= end; i++, at += sizeof(__be32)) {
		__be32 edge;

		if (load_bytes(hull, at, &edge, sizeof(edge)))
			return DROP_TRANSLATION;
		if (is_in_header(&course->directive, bpf_ntohl(edge)) &&
		    write_number(hull, tcp, at - tcp, edge, stream_start(&course->directive)))
			return DROP_TRANSLATION;
	}
	return CONTINUE;
}

static __always_inline enum verdict shift_answer(hull_t *hull, const struct packet *packet, const struct course *course)
{
	const struct directive *directive = &course->directive;
	__u32 number = bpf_ntohl(acknowledged_by(packet));
	enum verdict verdict = CONTINUE;

	if (!(packet->tcp_flags & TCP_ACK))
		return CONTINUE;
	if (is_in_header(directive, number))
		verdict = write_number(hull, transport_place(packet), TCP_ACKNOWLEDGED, acknowledged_by(packet), stream_start(directive));
	else if (is_far_beyond(number, stream_start(directive)))
		outgrow_header(packet, course);
	if (verdict || packet->tcp_flags & TCP_SYN || transport_bytes(packet) <= TCP_HEADER)
		return verdict;
	return shift_sack(hull);
}

/* Where its TCP begins; 0: it is not there. */
static __always_inline __u32 quoted_transport(hull_t *hull, const struct packet *packet)
{
	__u32 at = inner_ip(packet) + packet->headers;
	struct iphdr ip;

	if (came_as_ipv6(packet))
		return at + sizeof(struct ipv6_header);        /* as it was sent, and read_quoted_key_ipv6() found it */
	return load_bytes(hull, at, &ip, sizeof(ip)) || ip.ihl < 5 ? 0 : at + ip.ihl * 4;
}

/* An error about a segment of ours names a number that its client knows, or the client does not believe it. */
__noinline int shift_quoted(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	__u32 tcp, icmp, start, number;
	__be32 before, now;
	__u16 sum;

	if (!course || !packet)
		return DROP_TRANSLATION;
	icmp = transport_place(packet) + ICMP_CHECKSUM;
	tcp = quoted_transport(hull, packet);
	if (!tcp || load_bytes(hull, tcp + TCP_SEQUENCE, &before, sizeof(before)))
		return DROP_TRANSLATION;
	number = bpf_ntohl(before);
	start = stream_start(&course->directive);
	if (number != start - 1 - CELL_PROXY_HEADER && !is_in_header(&course->directive, number))
		return CONTINUE;
	now = bpf_htonl(number == start - 1 - CELL_PROXY_HEADER ? start - 1 : start);
	if (store_bytes(hull, tcp + TCP_SEQUENCE, &now, sizeof(now)))
		return DROP_TRANSLATION;
	if (tcp + TCP_CHECKSUM + 2 > inner_ip(packet) + bytes_behind(packet, 0) ||
	    load_bytes(hull, tcp + TCP_CHECKSUM, &sum, sizeof(sum)))
		return mend_covered(hull, icmp, word_difference(before, now, 0), false) ? CONTINUE : DROP_TRANSLATION;
	/* A header with its own checksum sums up to the same as before. */
	sum = mend(sum, bpf_csum_diff(&before, sizeof(before), &now, sizeof(now), 0));
	return store_bytes(hull, tcp + TCP_CHECKSUM, &sum, sizeof(sum)) ? DROP_TRANSLATION : CONTINUE;
}

/* In the target's family: behind what makes a client's packet that family's, and in front of what makes its answer the client's. */
static __always_inline enum verdict shift_stream(hull_t *hull)
{
	const struct course *course = this_course();
	const struct packet *packet = this_packet();
	bool outward;

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (!has_header(course))
		return CONTINUE;
	outward = course->directive.flags & DIRECTIVE_OUTWARD;
	if (quotes(packet))
		return outward ? CONTINUE : shift_quoted(hull);
	return outward ? shift_request(hull, packet, course) : shift_answer(hull, packet, course);
}

/* A target that acknowledges a part of the header, or nothing, has got data behind it, and the header not: it was lost, or the client's
 * first segment had data in it, and no room besides. */
static __always_inline bool asks_for_header(const hull_t *hull, const struct packet *packet, const struct course *course)
{
	const __u8 kinds = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;

	return has_header(course) && !(course->directive.flags & DIRECTIVE_OUTWARD) && packet->protocol == IPPROTO_TCP &&
	       (packet->tcp_flags & kinds) == TCP_ACK && !payload_of(packet) &&
	       is_in_header(&course->directive, bpf_ntohl(acknowledged_by(packet))) && can_carry_header(hull, packet);
}

static __always_inline bool may_send_header(const struct packet *packet, const struct course *course)
{
	struct cached_directive *row = cached_of(course);
	__u32 now = course->now / MILLISECOND;

	if (!row || now - row->header_sent < HEADER_AGAIN)
		return false;
	if (!packet->what_if)
		row->header_sent = now;
	return true;
}

/* RFC 7323, 5.3: what the target last saw of the client's clock is not older than what it saw. */
static __always_inline __u32 put_timestamps(struct proxied *proxied, const struct timestamps *timestamps)
{
	proxied->tcp.word[TCP_HEADER / 4] = bpf_htonl(TIMESTAMPS_WORD);
	proxied->tcp.word[TCP_HEADER / 4 + 1] = timestamps->echoed;
	proxied->tcp.word[TCP_HEADER / 4 + 2] = timestamps->sent;
	return TIMESTAMPS_ONLY;
}

static __always_inline __u32 put_segment(struct proxied *proxied, const struct packet *packet, const struct directive *directive,
					 const struct timestamps *timestamps)
{
	const struct transport *came = &packet->head.transport;
	__u32 tcp = TCP_HEADER;

	if (timestamps)
		tcp = put_timestamps(proxied, timestamps);
	proxied->tcp.half[0] = came->port.destination;
	proxied->tcp.half[1] = came->port.source;
	proxied->tcp.word[TCP_SEQUENCE / 4] = bpf_htonl(stream_start(directive) - CELL_PROXY_HEADER);
	proxied->tcp.word[TCP_ACKNOWLEDGED / 4] = sequence_of(packet);
	proxied->tcp.byte[12] = tcp / 4 << 4;
	proxied->tcp.byte[13] = TCP_ACK | TCP_PUSH;
	proxied->tcp.half[7] = *(const __be16 *)&came->byte[14];       /* of no consequence: the target knows a later one */
	return tcp;
}

/* The ffff that marks IPv4 adds nothing, and who of both sends it does not matter to a sum. */
static __always_inline void sum_segment(struct proxied *proxied, const struct packet *packet, __u32 tcp)
{
	__u32 sum = bpf_csum_diff(0, 0, (__be32 *)&packet->source, 2 * sizeof(struct address),
				  bpf_htons(IPPROTO_TCP) + bpf_htons(tcp + CELL_PROXY_HEADER));

	proxied->tcp.half[TCP_CHECKSUM / 2] = segment_sum(proxied, sum, true);
}

/* To who sent `packet`. `bytes`: of the whole IP packet. */
static __always_inline void put_front(struct proxied *proxied, const struct packet *packet, __u32 bytes)
{
	if (!came_as_ipv6(packet)) {
		write_ip(&proxied->ip, bytes, IPPROTO_TCP, packet->head.ip.daddr, packet->head.ip.saddr);
		return;
	}
	proxied->ipv6.version_class_flow = bpf_htonl((__u32)IPV6_VERSION << 28);
	proxied->ipv6.payload = bpf_htons(bytes - sizeof(struct ipv6_header));
	proxied->ipv6.next = IPPROTO_TCP;
	proxied->ipv6.hop_limit = TTL_OF_ANSWERS;
	proxied->ipv6.source = packet->destination;
	proxied->ipv6.destination = packet->source;
}

/* As if the client had sent it, to who sent `packet`. */
static __always_inline enum verdict find_way_back(hull_t *hull, struct packet *packet, struct course *course)
{
	struct address source = packet->source;
	__be16 port = packet->source_port;
	enum verdict verdict;

	packet->source = packet->destination;
	packet->destination = source;
	packet->source_port = packet->destination_port;
	packet->destination_port = port;
	if ((verdict = enter_exit(packet, course, &course->attachment)))
		return verdict;
	return find_way(hull);
}

/* In the client's name, which has sent it once already, and need not know that it was lost. CONTINUE: it could not be said. */
__noinline int send_header(hull_t *hull)
{
	struct proxied *proxied = blank_proxied();
	struct course *course = this_course();
	struct packet *packet = this_packet();
	struct timestamps timestamps = {};
	__u32 mark, tcp, bytes, at;
	enum verdict verdict;

	if (!proxied || !course || !packet)
		return DROP_NOT_CONFIGURED;
	at = find_option(hull, transport_place(packet) + TCP_HEADER, inner_ip(packet) + packet->headers, TCP_OPTION_TIMESTAMPS, sizeof(timestamps));
	if (at && load_bytes(hull, at, &timestamps, sizeof(timestamps)))
		return DROP_TRUNCATED;
	mark = is_partial(hull, transport_place(packet) + TCP_CHECKSUM) ? transport_bytes(packet) : 0;
	if (mark && !has_room_for_mark(mark))
		return CONTINUE;
	if ((verdict = make_header(mark, 0)))
		return verdict;
	tcp = put_segment(proxied, packet, &course->directive, at ? &timestamps : 0);
	bytes = plain_ip_bytes(packet) + tcp + CELL_PROXY_HEADER;
	put_front(proxied, packet, bytes);
	sum_segment(proxied, packet, tcp);
	if ((verdict = find_way_back(hull, packet, course)))
		return verdict;
	if (!make_answer_room(hull, packet, bytes) || !store_segment(hull, packet, tcp, proxied))
		return DROP_TRANSLATION;
	tell(packet, STEP_HEADER_SENT, CONTINUE, stream_start(&course->directive));
	return send_answer(hull, packet, bytes);
}

/* CONTINUE: the packet goes on to the client. */
static __always_inline enum verdict answer_for_client(hull_t *hull)
{
	struct course *course = this_course();
	struct packet *packet = this_packet();

	if (!course || !packet)
		return DROP_NOT_CONFIGURED;
	if (!asks_for_header(hull, packet, course) || !may_send_header(packet, course))
		return CONTINUE;
	return send_header(hull);
}

#endif
