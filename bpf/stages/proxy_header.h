/* SPDX-License-Identifier: GPL-2.0-only */
/* What does a target learn of its client before the client's first byte? The proxy protocol's header, version 2 (HAProxy's
 * proxy-protocol.txt), as a network load balancer of AWS writes it: always of one length, filled up with a TLV that says nothing.
 * It follows from the flow's key alone, so any node can say it, again and again. */
#ifndef ROOKERY_PROXY_HEADER_H
#define ROOKERY_PROXY_HEADER_H

#include "stages/answer_back.h"

enum proxy_constant {
	PROXY_VERSION_2 = 0x21,            /* ... and the command PROXY */
	PROXY_TCP_IPV4 = 0x11,
	PROXY_TCP_IPV6 = 0x21,
	PROXY_FIXED = 28,                  /* bytes in front of the TLVs, of IPv4 */
	PROXY_TLVS = CELL_PROXY_HEADER - PROXY_FIXED,
	PROXY_FIXED_IPV6 = 52,
	PROXY_TLVS_IPV6 = CELL_PROXY_HEADER - PROXY_FIXED_IPV6,
	PROXY_TLV_HEAD = 3,
	TLV_CRC32C = 0x03,
	TLV_NOTHING = 0x04,
	TLV_AWS = 0xea,
	TLV_AWS_ENDPOINT = 0x01,
	CRC32C_POLYNOMIAL = 0x82f63b78,    /* reflected */
	TCP_HEADER_LONGEST = 60,
	TLV_CRC = PROXY_TLV_HEAD + 4,      /* bytes of a whole one */
	TLV_ENDPOINT = PROXY_TLV_HEAD + 1 + CELL_ENDPOINT_ID,
	MARK = 2,
	MARK_FREE = PROXY_FIXED + TLV_CRC + TLV_ENDPOINT + PROXY_TLV_HEAD,     /* from here on there is nothing that anybody reads */
};

/* Of IPv6, where a mark has no other place: who sends the header may leave its CRC out, and TLVs have no order. */
enum tlv_order {
	CRC_FIRST,                         /* as AWS */
	ENDPOINT_FIRST,                    /* then the filler */
	ENDPOINT_LAST,                     /* in front of it the filler, or that alone */
	NO_ROOM_FOR_MARK,
};

struct proxy_header {
	__be32 signature[3];
	__u8 version_and_command;
	__u8 family_and_protocol;
	__be16 length;                     /* of what follows */
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 tlv[PROXY_TLVS];
};
_Static_assert(sizeof(struct proxy_header) == CELL_PROXY_HEADER, "as the protocol has it");

struct proxy_header_ipv6 {
	__u8 alike[16];                    /* up to `length` */
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 tlv[PROXY_TLVS_IPV6];
};
_Static_assert(sizeof(struct proxy_header_ipv6) == CELL_PROXY_HEADER, "as the protocol has it");

/* A segment whose data is the header, as it is made. */
struct proxied {
	union {
		struct iphdr ip;
		struct ipv6_header ipv6;
	};
	union {
		__u8 byte[TCP_HEADER_LONGEST];
		__be16 half[TCP_HEADER_LONGEST / 2];
		__be32 word[TCP_HEADER_LONGEST / 4];
	} tcp;
	union {
		struct proxy_header header;
		struct proxy_header_ipv6 header_ipv6;
		__u16 half[CELL_PROXY_HEADER / 2];
		__u32 word[CELL_PROXY_HEADER / 4];
	};
};

/* On the heap of the run: no stack has room. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proxied);
} scratch_proxied SEC(".maps");

static __always_inline struct proxied *blank_proxied(void)
{
	const __u32 only = 0;
	struct proxied *proxied = bpf_map_lookup_elem(&scratch_proxied, &only);

	if (proxied)
		__builtin_memset(proxied, 0, sizeof(*proxied));
	return proxied;
}

/* Without a table, for it is needed once or twice in a connection's life. The kernel's is no program's to call. */
static __always_inline __u32 crc32c(const struct proxied *proxied)
{
	__u32 crc = 0xffffffff;

	for (__u32 i = 0; i < CELL_PROXY_HEADER / 4; i++) {
		crc ^= __builtin_bswap32(bpf_ntohl(proxied->word[i]));
		for (__u32 bit = 0; bit < 32; bit++)
			crc = crc >> 1 ^ (CRC32C_POLYNOMIAL & -(crc & 1));
	}
	return ~crc;
}

static __always_inline void begin_tlv(__u8 *tlv, __u8 type, __u8 bytes)
{
	tlv[0] = type;
	tlv[2] = bytes;
}

/* As the attachment saw them: of answers, the directive says what the flow began with. */
static __always_inline void put_ends(struct proxy_header *header, const struct course *course)
{
	const struct directive *directive = &course->directive;
	bool outward = directive->flags & DIRECTIVE_OUTWARD;

	header->source = outward ? course->key.source.word[3] : directive->destination.word[3];
	header->destination = outward ? course->key.destination.word[3] : directive->source.word[3];
	header->source_port = outward ? course->key.source_port : directive->destination_port;
	header->destination_port = outward ? course->key.destination_port : directive->source_port;
}

static __always_inline bool is_client_ipv6(const struct course *course)
{
	return !is_ipv4(course->directive.flags & DIRECTIVE_OUTWARD ? &course->key.source : &course->directive.destination);
}

static __always_inline void put_ends_ipv6(struct proxy_header_ipv6 *header, const struct course *course)
{
	const struct directive *directive = &course->directive;
	bool outward = directive->flags & DIRECTIVE_OUTWARD;

	header->source = outward ? course->key.source : directive->destination;
	header->destination = outward ? course->key.destination : directive->source;
	header->source_port = outward ? course->key.source_port : directive->destination_port;
	header->destination_port = outward ? course->key.destination_port : directive->source_port;
}

static __always_inline const struct attachment *entrance_of(const struct course *course)
{
	struct attachment_key key = { course->half, course->directive.vni, course->directive.interface };

	return course->directive.flags & DIRECTIVE_OUTWARD ? attachment_of(course) : bpf_map_lookup_elem(&attachments, &key);
}

static __always_inline void put_endpoint(__u8 *tlv, const struct attachment *entrance)
{
	begin_tlv(tlv, TLV_AWS, 1 + CELL_ENDPOINT_ID);
	tlv[PROXY_TLV_HEAD] = TLV_AWS_ENDPOINT;
	__builtin_memcpy(tlv + PROXY_TLV_HEAD + 1, entrance->endpoint, CELL_ENDPOINT_ID);
}

static __always_inline void put_nothing(__u8 *tlv, __u32 room)
{
	begin_tlv(tlv, TLV_NOTHING, room - PROXY_TLV_HEAD);
}

static __always_inline bool has_endpoint(const struct attachment *entrance)
{
	return entrance && entrance->kind == ATTACHMENT_ENDPOINT;
}

/* Where the CRC's value is; 0: there is none. */
static __always_inline __u8 *put_tlvs(__u8 *tlv, __u32 room, const struct attachment *entrance)
{
	begin_tlv(tlv, TLV_CRC32C, 4);
	if (!has_endpoint(entrance)) {
		put_nothing(tlv + TLV_CRC, room - TLV_CRC);
		return tlv + PROXY_TLV_HEAD;
	}
	put_endpoint(tlv + TLV_CRC, entrance);
	put_nothing(tlv + TLV_CRC + TLV_ENDPOINT, room - TLV_CRC - TLV_ENDPOINT);
	return tlv + PROXY_TLV_HEAD;
}

static __always_inline __u32 place_of_mark(__u32 bytes)
{
	return CELL_PROXY_HEADER + TCP_CHECKSUM - bytes;
}

/* `mark` as make_header() has it: those bytes are summed before there is a CRC. */
static __always_inline enum tlv_order order_of_tlvs(bool endpoint, __u32 mark)
{
	const __u32 free = PROXY_FIXED_IPV6 + PROXY_TLV_HEAD;
	__u32 place = place_of_mark(mark);
	bool summed = CELL_PROXY_HEADER - mark < PROXY_FIXED_IPV6 + TLV_CRC;

	if (!mark || (!summed && place >= free + TLV_CRC + (endpoint ? TLV_ENDPOINT : 0)))
		return CRC_FIRST;
	if (endpoint && place >= free + TLV_ENDPOINT)
		return ENDPOINT_FIRST;
	if (place >= free && place + MARK <= CELL_PROXY_HEADER - (endpoint ? TLV_ENDPOINT : 0))
		return ENDPOINT_LAST;
	return NO_ROOM_FOR_MARK;
}

static __always_inline __u8 *put_tlvs_ipv6(__u8 *tlv, const struct attachment *entrance, __u32 mark)
{
	bool endpoint = has_endpoint(entrance);

	switch (order_of_tlvs(endpoint, mark)) {
	case ENDPOINT_FIRST:
		put_endpoint(tlv, entrance);
		put_nothing(tlv + TLV_ENDPOINT, PROXY_TLVS_IPV6 - TLV_ENDPOINT);
		return 0;
	case ENDPOINT_LAST:
		put_nothing(tlv, endpoint ? PROXY_TLVS_IPV6 - TLV_ENDPOINT : PROXY_TLVS_IPV6);
		if (endpoint)
			put_endpoint(tlv + PROXY_TLVS_IPV6 - TLV_ENDPOINT, entrance);
		return 0;
	default:
		return put_tlvs(tlv, PROXY_TLVS_IPV6, entrance);
	}
}

/* Where a checksum is a device's to finish, the kernel has kept the place of the TCP header as it came, and no program can tell it
 * another: that place is in the header now, in its last `bytes` bytes. So the segment's own checksum is whole, and what a device would
 * write in the old place is there already: the two bytes v that are the complement of a sum to which they belong themselves.
 * v = ~(sum + v), so v is half of ~sum, modulo 2^16 - 1. They lie where the header says nothing. */
static __always_inline void leave_mark(struct proxied *proxied, __u32 bytes, __u32 sum)
{
	__u32 first = (CELL_PROXY_HEADER - bytes) / 2, place = first + TCP_CHECKSUM / 2, rest;

	if (!proxied->half[CELL_PROXY_HEADER / 2 - 1])
		proxied->half[CELL_PROXY_HEADER / 2 - 1] = bpf_htons(1);       /* a sum of nothing has no such v */
	for (__u32 i = 0; i < CELL_PROXY_HEADER / 2; i++)
		sum += i >= first ? proxied->half[i] : 0;
	rest = fold(sum);
	asm volatile("" : "+r"(place));    /* clang knows what the verifier wants to see */
	if (place < CELL_PROXY_HEADER / 2)
		proxied->half[place] = rest & 1 ? (rest + 0xffff) / 2 : rest / 2;
}

/* `mark`: so many of the last bytes are behind the place of a TCP header; 0: none are. `behind`: sum of what follows the header. */
__noinline int make_header(__u32 mark, __u32 behind)
{
	const __u32 only = 0;
	struct proxied *proxied = bpf_map_lookup_elem(&scratch_proxied, &only);
	const struct course *course = this_course();
	struct proxy_header *header;
	__u8 *place;
	__u32 crc;

	if (!proxied || !course)
		return DROP_NOT_CONFIGURED;
	header = &proxied->header;
	header->signature[0] = bpf_htonl(0x0d0a0d0a);
	header->signature[1] = bpf_htonl(0x000d0a51);
	header->signature[2] = bpf_htonl(0x5549540a);
	header->version_and_command = PROXY_VERSION_2;
	header->length = bpf_htons(CELL_PROXY_HEADER - offsetof(struct proxy_header, source));
	if (is_client_ipv6(course)) {
		header->family_and_protocol = PROXY_TCP_IPV6;
		put_ends_ipv6(&proxied->header_ipv6, course);
		place = put_tlvs_ipv6(proxied->header_ipv6.tlv, entrance_of(course), mark);
	} else {
		header->family_and_protocol = PROXY_TCP_IPV4;
		put_ends(header, course);
		place = put_tlvs(header->tlv, PROXY_TLVS, entrance_of(course));
	}
	if (mark)
		leave_mark(proxied, mark, behind);
	if (!place)
		return CONTINUE;
	crc = bpf_htonl(crc32c(proxied));
	__builtin_memcpy(place, &crc, sizeof(crc));
	return CONTINUE;
}

/* Does the place lie where the header says nothing? Not static: a key lies on its stack. */
__noinline bool has_room_for_mark(__u32 bytes)
{
	const struct course *course = this_course();

	if (!course)
		return false;
	if (is_client_ipv6(course))
		return order_of_tlvs(has_endpoint(entrance_of(course)), bytes) != NO_ROOM_FOR_MARK;
	return place_of_mark(bytes) >= MARK_FREE;
}

#endif
