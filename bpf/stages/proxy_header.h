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
	PROXY_FIXED = 28,                  /* bytes in front of the TLVs, of IPv4 */
	PROXY_TLVS = CELL_PROXY_HEADER - PROXY_FIXED,
	PROXY_TLV_HEAD = 3,
	TLV_CRC32C = 0x03,
	TLV_NOTHING = 0x04,
	TLV_AWS = 0xea,
	TLV_AWS_ENDPOINT = 0x01,
	CRC32C_POLYNOMIAL = 0x82f63b78,    /* reflected */
	TCP_HEADER_LONGEST = 60,
	MARK_FREE = 64,                    /* from here on there is nothing in the header that anybody reads */
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

/* A segment whose data is the header, as it is made. */
struct proxied {
	struct iphdr ip;
	union {
		__u8 byte[TCP_HEADER_LONGEST];
		__be16 half[TCP_HEADER_LONGEST / 2];
		__be32 word[TCP_HEADER_LONGEST / 4];
	} tcp;
	union {
		struct proxy_header header;
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

static __always_inline const struct attachment *entrance_of(const struct course *course)
{
	struct attachment_key key = { course->half, course->directive.vni, course->directive.interface };

	return course->directive.flags & DIRECTIVE_OUTWARD ? attachment_of(course) : bpf_map_lookup_elem(&attachments, &key);
}

static __always_inline void put_tlvs(struct proxy_header *header, const struct attachment *entrance)
{
	__u8 *tlv = header->tlv;
	const __u32 crc = PROXY_TLV_HEAD + 4, endpoint = PROXY_TLV_HEAD + 1 + CELL_ENDPOINT_ID;

	begin_tlv(tlv, TLV_CRC32C, 4);
	if (!entrance || entrance->kind != ATTACHMENT_ENDPOINT) {
		begin_tlv(tlv + crc, TLV_NOTHING, PROXY_TLVS - crc - PROXY_TLV_HEAD);
		return;
	}
	begin_tlv(tlv + crc, TLV_AWS, 1 + CELL_ENDPOINT_ID);
	tlv[crc + PROXY_TLV_HEAD] = TLV_AWS_ENDPOINT;
	__builtin_memcpy(tlv + crc + PROXY_TLV_HEAD + 1, entrance->endpoint, CELL_ENDPOINT_ID);
	begin_tlv(tlv + crc + endpoint, TLV_NOTHING, PROXY_TLVS - crc - endpoint - PROXY_TLV_HEAD);
}

/* Where a checksum is a device's to finish, the kernel has kept the place of the TCP header as it came, and no program can tell it
 * another: that place is in the header now, in its last `bytes` bytes. So the segment's own checksum is whole, and what a device would
 * write in the old place is there already: the two bytes v that are the complement of a sum to which they belong themselves.
 * v = ~(sum + v), so v is half of ~sum, modulo 2^16 - 1. They lie where the header says nothing. */
static __always_inline void leave_mark(struct proxied *proxied, __u32 bytes, __u32 sum)
{
	__u32 first = (CELL_PROXY_HEADER - bytes) / 2, place = first + TCP_CHECKSUM / 2, rest;

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
	__u32 crc;

	if (!proxied || !course)
		return DROP_NOT_CONFIGURED;
	header = &proxied->header;
	header->signature[0] = bpf_htonl(0x0d0a0d0a);
	header->signature[1] = bpf_htonl(0x000d0a51);
	header->signature[2] = bpf_htonl(0x5549540a);
	header->version_and_command = PROXY_VERSION_2;
	header->family_and_protocol = PROXY_TCP_IPV4;
	header->length = bpf_htons(CELL_PROXY_HEADER - offsetof(struct proxy_header, source));
	put_ends(header, course);
	put_tlvs(header, entrance_of(course));
	if (mark)
		leave_mark(proxied, mark, behind);
	crc = bpf_htonl(crc32c(proxied));
	__builtin_memcpy(header->tlv + PROXY_TLV_HEAD, &crc, sizeof(crc));
	return CONTINUE;
}

/* Does the place lie where the header says nothing? */
static __always_inline bool has_room_for_mark(__u32 bytes)
{
	return CELL_PROXY_HEADER + TCP_CHECKSUM >= MARK_FREE + bytes;
}

#endif
