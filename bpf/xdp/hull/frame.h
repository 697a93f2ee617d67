/* SPDX-License-Identifier: GPL-2.0-only */
/* What carries the packet through the kernel? Here the frame as a network card's driver received it: one packet with all its checksums.
 * What this build cannot end, a packet that waits for a neighbour or must be cut, it leaves as it came to the TC build behind it on the
 * same device, which handles it from the start. (tc/hull/frame.h) */
#ifndef ROOKERY_FRAME_H
#define ROOKERY_FRAME_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#include "formats/verdict.h"

typedef struct xdp_md hull_t;

/* To whom it leaves this node. */
struct departure {
	__u16 padding;                     /* puts what follows Ethernet on a word boundary, as in every frame on the stack */
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
	__u16 tail;
} __attribute__((aligned(4)));

#define HULL_SECTION "xdp.frags"           /* jumbo frames do not lie in one piece */
#define HULL_LEFT DEFERRED                 /* TC judges what is not ours, and counts it */

enum hull_constant {
	HULL_DROPS = XDP_DROP,
	HULL_LEAVES = XDP_PASS,
};

static __always_inline __u32 length_of(hull_t *hull)
{
	return bpf_xdp_get_buff_len(hull);
}

static __always_inline __u32 device_of(const hull_t *hull)
{
	return hull->ingress_ifindex;
}

static __always_inline __u32 segment_of(const hull_t *hull)
{
	(void)hull;
	return 0;
}

/* Its tag is in the frame, and so its protocol is none of ours. The card must not take it out (ethtool -K rxvlan off). */
static __always_inline bool is_tagged(const hull_t *hull)
{
	(void)hull;
	return false;
}

static __always_inline __be16 protocol_of(const hull_t *hull)
{
	const struct ethhdr *frame = (const void *)(long)hull->data;

	return (const void *)(frame + 1) > (const void *)(long)hull->data_end ? 0 : frame->h_proto;
}

/* Not from here: TC sees whatever is left. */
static __always_inline bool is_never_forwarded(const hull_t *hull)
{
	(void)hull;
	return true;
}

static __always_inline long load_bytes(hull_t *hull, __u32 offset, void *to, __u32 bytes)
{
	return bpf_xdp_load_bytes(hull, offset, to, bytes);
}

static __always_inline long store_bytes(hull_t *hull, __u32 offset, const void *from, __u32 bytes)
{
	return bpf_xdp_store_bytes(hull, offset, (void *)from, bytes);
}

/* Only a test run brings metadata of this form: drivers put none in front of a frame that nobody asked them for, and a veth hands on
 * what an XDP program at its other end wrote, which is the operator's. */
static __always_inline struct what_if_note *note_of(const hull_t *hull)
{
	struct what_if_note *note = (void *)(long)hull->data_meta;

	return (void *)(note + 1) > (void *)(long)hull->data ? 0 : note;
}

static __always_inline __u32 mark_of(const hull_t *hull)
{
	const struct what_if_note *note = note_of(hull);

	return note ? note->mark : 0;
}

static __always_inline void show_outcome(hull_t *hull, enum verdict verdict, __u32 target)
{
	struct what_if_note *note = note_of(hull);

	if (!note)
		return;
	note->verdict = verdict;
	note->target = target;
}

#endif
