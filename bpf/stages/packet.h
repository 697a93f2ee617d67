/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of a packet so far? Later stages read this and no header, so they know no address family. */
#ifndef ROOKERY_PACKET_H
#define ROOKERY_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "formats/maps.h"
#include "formats/verdict.h"
#include "hull/frame.h"
#include "stages/icmp.h"
#include "stages/ipv6.h"

/* Begins as TCP, UDP and ICMP do; as long as needed to find TCP's header length. */
struct transport {
	union {
		struct { __be16 source, destination; } port;
		struct icmp_header icmp;
		__u8 byte[16];
	};
};

/* Most IPv4 frames are understood from these bytes, copied at once, unless IP has options. An IPv6 header is read first,
 * and gives its place to the transport then: the stack is small. */
struct head {
	__u16 padding;                     /* puts IP on a word boundary: clang reads packed members byte by byte */
	struct ethhdr frame;
	union {
		struct {
			struct iphdr ip;
			struct transport transport;
		};
		struct ipv6_header ipv6;
	};
};

enum head_constant {
	HEAD_AT_ONCE = ETH_HLEN + 20 + 16, /* no more: a TCP acknowledgement would be too short for it */
};
_Static_assert(offsetof(struct head, transport) == 2 + ETH_HLEN + 20, "no holes between the headers");

enum packet_constant {
	FARTHEST_HEAD = 1 << 9,            /* nothing that is read begins behind this: the verifier wants a bound */
};

enum fragment_kind {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1,
	FRAGMENT_LATER = 2,                /* carries no transport header */
};

/* What outlives a packet, or is written before it is read. */
struct kept {
	__u64 jiffies;                     /* at which `now` was read */
	__u64 now;
	struct connection_key flow;        /* for which the gate looks */
	struct departure departure;        /* to whom it leaves this node */
};

struct packet {
	struct address source;
	struct address destination;
	struct head head;                  /* how the instance's own frame begins, not the substrate's */
	__u16 headers;                     /* bytes of IP and transport header */
	__u8 leads_out;                    /* enum route_kind of the route that leads out of the VPC; 0: none does */
	bool from_outside;                 /* an edge speaks for the internet */
	__u32 offset;                      /* where that frame begins */
	__u32 length;                      /* bytes of that frame; of everything until it is found */
	__u32 largest;                     /* bytes of the largest IP packet in it: a segment of a super-packet */
	__u32 segments;
	__u32 vni;                         /* the sender's VPC at its gate, the receiver's at the other */
	__u32 origin_vni;                  /* what the sender says of itself: at the receiver's gate a claim, until it is verified */
	__u32 origin_interface;
	__u32 led_to;                      /* the interface to which a route leads; 0: whoever has the destination's address */
	__u32 ifindex;                     /* the device under which it is counted */
	__u32 target;                      /* the device to which it goes */
	__u32 trace;                       /* of a what-if; 0: tell no steps */
	__s32 action;                      /* for the kernel, once a stage has sent the packet somewhere */
	__be32 outer_source;
	__be32 outer_destination;
	__u32 identification;              /* of a fragment */
	__u32 receiver;                    /* number of the interface that gets it */
	__u32 attachment;                  /* an interface at a cell that passes on what its client sent, or, at a node of that, for which it is; 0: none */
	__u64 list;                        /* of the gate at which the packet stands */
	__u16 rule;                        /* bit of the rule that counted there; RULE_NONE: none */
	__be16 source_port;                /* ICMP echo: identifier; of a later fragment once its gate has found the first */
	__be16 destination_port;
	__u8 protocol;
	__u8 program;                      /* enum program */
	__u8 direction;                    /* enum direction, of the gate at which the packet stands; 0: at none */
	__u8 fragment;                     /* enum fragment_kind */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	bool at_cell;                      /* who sent it, or gets it next, lives at a cell */
	bool to_endpoint;                  /* who gets it next is one of PrivateLink's */
	bool what_if;
	bool dont_fragment;
	bool unanswerable;                 /* later fragment or ICMP error: RFC 1122, 3.2.2, no ICMP error about those */
	struct kept kept;                  /* not blank */
};

/* Of the run that a CPU is busy with, and of no other: programs of one CPU do not interrupt each other. The stack's 512 bytes are
 * for the stages. No other version of a program reads it, so it is pinned nowhere (rookery.dataplane.host). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} scratch SEC(".maps");

static __always_inline struct packet *blank_packet(void)
{
	const __u32 only = 0;
	struct packet *packet = bpf_map_lookup_elem(&scratch, &only);

	if (packet)
		__builtin_memset(packet, 0, offsetof(struct packet, kept));
	return packet;
}

static __always_inline void begin(hull_t *hull, struct packet *packet, enum program program)
{
	__u32 mark = mark_of(hull);

	packet->what_if = (mark & WHAT_IF_MASK) == WHAT_IF_MARK;
	packet->trace = packet->what_if ? mark & ~WHAT_IF_MASK : 0;
	packet->program = program;
	packet->ifindex = device_of(hull);
	packet->length = length_of(hull);
	packet->segments = 1;
	packet->rule = RULE_NONE;
	packet->action = HULL_DROPS;
}

/* Frames lie on the stack two bytes in front of a word boundary, and are copied in words: clang copies what it knows no
 * alignment of byte by byte. */
static __always_inline void copy_words(void *to, const void *from, __u32 bytes)
{
	*(__u16 *)to = *(const __u16 *)from;
#pragma unroll
	for (__u32 at = 2; at + 4 <= bytes; at += 4)
		*(__u32 *)(to + at) = *(const __u32 *)(from + at);
	if (bytes % 4 == 0)
		*(__u16 *)(to + bytes - 2) = *(const __u16 *)(from + bytes - 2);
}

/* A guest decides how its packets are cut in memory: what does not lie in one piece, or is short, takes this way. */
static __always_inline __u32 gather_head(hull_t *hull, __u32 offset, void *to, __u32 room)
{
	__u32 last = length_of(hull) - offset - 1;

	if (offset >= length_of(hull))
		return 0;
	if (last >= room)
		return load_bytes(hull, offset, to, room) ? 0 : room;
	/* The verifier wants to see that a length is not zero, and Linux 6.1 does not learn it from a comparison with zero: it
	 * learns the bounds of what is one less. Clang would compute that back. */
	asm volatile("" : "+r"(last));
	if (last >= room)
		return 0;
	return load_bytes(hull, offset, to, last + 1) ? 0 : last + 1;
}

/* Where so many bytes lie in one piece, or none. The offset is bounded before it is added, which clang would turn round; and by arithmetic,
 * for Linux 6.1 forgets what a comparison said of a number that lies on the stack. */
static __always_inline const void *in_place(hull_t *hull, __u32 offset, __u32 bytes)
{
	const void *from;
	__u64 near = offset;

	if (offset > FARTHEST_HEAD)
		return 0;
	asm volatile("%0 &= %1" : "+r"(near) : "i"(2 * FARTHEST_HEAD - 1));
	from = (const void *)(long)hull->data + near;
	return from + bytes > (const void *)(long)hull->data_end ? 0 : from;
}

/* Up to `room` bytes (an even number) from `offset` on, as many as there are; how many. A call costs more than the copy. */
static __always_inline __u32 copy_head(hull_t *hull, __u32 offset, void *to, __u32 room)
{
	const void *from = in_place(hull, offset, room);

	if (from) {
		copy_words(to, from, room);
		return room;
	}
	return gather_head(hull, offset, to, room);
}

/* Whole words, to a word boundary; false: they are not there. */
static __always_inline bool load_words(hull_t *hull, __u32 offset, void *to, __u32 bytes)
{
	const void *from = in_place(hull, offset, bytes);

	if (!from)
		return !load_bytes(hull, offset, to, bytes);
#pragma unroll
	for (__u32 at = 0; at < bytes; at += 4)
		*(__u32 *)(to + at) = *(const __u32 *)(from + at);
	return true;
}

/* As load_words(). */
static __always_inline bool store_words(hull_t *hull, __u32 offset, const void *from, __u32 bytes)
{
	void *to = (void *)in_place(hull, offset, bytes);

	if (!to)
		return !store_bytes(hull, offset, from, bytes);
#pragma unroll
	for (__u32 at = 0; at < bytes; at += 4)
		*(__u32 *)(to + at) = *(const __u32 *)(from + at);
	return true;
}

/* The frame's first bytes, an even number. In place where they lie in one piece: a call costs more than the copy. */
static __always_inline bool write_head(hull_t *hull, const void *from, __u32 bytes)
{
	void *to = (void *)(long)hull->data;

	if (to + bytes > (void *)(long)hull->data_end)
		return !store_bytes(hull, 0, from, bytes);
	copy_words(to, from, bytes);
	return true;
}

/* Nanoseconds, CLOCK_MONOTONIC, as coarse as the timer's tick. That moves jiffies too, and they are read without a call. */
static __always_inline __u64 coarse_now(struct packet *packet)
{
	__u64 jiffies = bpf_jiffies64();

	if (packet->kept.jiffies != jiffies) {
		packet->kept.jiffies = jiffies;
		packet->kept.now = bpf_ktime_get_coarse_ns();
	}
	return packet->kept.now;
}

static __always_inline struct address ipv4_address(__be32 word)
{
	return (struct address){ .word = { 0, 0, bpf_htonl(0xffff), word } };
}

static __always_inline bool is_ipv4(const struct address *address)
{
	return !address->word[0] && !address->word[1] && address->word[2] == bpf_htonl(0xffff);
}

/* Each family has its own ICMP; that of the other one is a protocol like any other. */
static __always_inline bool carries_icmp(const struct address *address, __u8 protocol)
{
	return protocol == (is_ipv4(address) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Of what carries_icmp(). */
static __always_inline bool is_echo_request(__u8 protocol, __u8 type)
{
	return type == (protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMPV6_ECHO);
}

static __always_inline bool is_echo(__u8 protocol, __u8 type)
{
	return is_echo_request(protocol, type) || type == (protocol == IPPROTO_ICMP ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY);
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) |
		 (a->word[2] ^ b->word[2]) | (a->word[3] ^ b->word[3]));
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

#endif
